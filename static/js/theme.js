// Runs before the first paint: the chosen theme, and the mark that scripts run.
"use strict";
document.documentElement.dataset.script = "";
try {
  const theme = localStorage.getItem("theme");
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
} catch { /* storage refused: follow the system */ }
