// Before the first paint, so that a chosen theme never flashes the other one. It is a file of its
// own because the page's content policy allows no inline script.
(function () {
  try {
    var theme = localStorage.getItem('logboom.theme');
    if (theme === 'light' || theme === 'dark') document.documentElement.dataset.theme = theme;
  } catch (_) {
    // Storage may be forbidden; the system's theme is used then.
  }
})();
