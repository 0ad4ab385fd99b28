"use strict";

// Shows the state of the gate once.
fetch("api/v1/status")
  .then((answer) => answer.json())
  .then((status) => {
    document.getElementById("state").textContent = `${status.version}: ${status.state}`;
  });
