"use strict";
const symbols = Array.from(document.querySelectorAll("#symbols li"));
document.getElementById("filter").addEventListener("input", (event) => {
  const wanted = event.target.value.toLowerCase();
  for (const item of symbols) {
    item.hidden = !item.textContent.toLowerCase().includes(wanted);
  }
});
