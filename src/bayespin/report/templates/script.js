(function () {
  "use strict";
  var root = document.documentElement;
  var order = ["auto", "light", "dark"];
  var store = { get: function () { try { return localStorage.getItem("bayespin-theme"); } catch (e) { return null; } },
                set: function (v) { try { localStorage.setItem("bayespin-theme", v); } catch (e) { return; } } };
  function apply(theme) {
    if (theme === "auto") { root.removeAttribute("data-theme"); } else { root.setAttribute("data-theme", theme); }
  }
  var theme = store.get();
  if (order.indexOf(theme) < 0) { theme = "auto"; }
  apply(theme);
  document.addEventListener("DOMContentLoaded", function () {
    var button = document.getElementById("theme");
    function say() { button.textContent = "Theme: " + theme; }
    button.hidden = false;
    say();
    button.addEventListener("click", function () {
      theme = order[(order.indexOf(theme) + 1) % order.length];
      apply(theme); store.set(theme); say();
    });
  });
})();
