/* The sides by which a picture is extended, drawn while their numbers are typed. What is painted over: paint.js. */

const form = document.getElementById("edit");
const frame = form.querySelector(".edit-frame");
const picture = form.querySelector(".edit-picture");
const [width, height] = [Number(form.dataset.width), Number(form.dataset.height)];

function extend() {
  const [left, top, right, bottom] = ["left", "top", "right", "bottom"].map((side) => Math.max(0, Number(form.elements[side].value) || 0));
  const [across, down] = [width + left + right, height + top + bottom];
  frame.style.aspectRatio = `${across} / ${down}`;
  frame.style.setProperty("--ratio", across / down);
  picture.style.width = `${(100 * width) / across}%`;
  // Margins are shares of the frame's width, also above.
  picture.style.marginLeft = `${(100 * left) / across}%`;
  picture.style.top = `${(100 * top) / down}%`;
}

form.addEventListener("input", ({ target }) => {
  if (["left", "top", "right", "bottom"].includes(target.name)) extend();
});

extend();
