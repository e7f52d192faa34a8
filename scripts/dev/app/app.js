/** The script of the demo's page: asks, chats with the echo over a WebSocket, and listens to events. */

/** How many lines the list of messages keeps. */
const MAX_LINES = 100;

const ask = document.getElementById("ask");
const asked = document.getElementById("asked");

ask.addEventListener("click", async () => {
  const start = performance.now();
  try {
    const response = await fetch("/api/request", { cache: "no-store" });
    const { request_id } = await response.json();
    const [timing] = performance.getEntriesByName(response.url).slice(-1);
    const protocol = timing?.nextHopProtocol || "HTTP";
    asked.textContent = `${request_id}, over ${protocol}, in ${(performance.now() - start).toFixed(1)} ms`;
    performance.clearResourceTimings();
  } catch (error) {
    asked.textContent = `failed: ${error.message}`;
  }
});

const state = document.getElementById("socket-state");
const form = document.getElementById("socket-form");
const text = document.getElementById("socket-text");
const send = document.getElementById("socket-send");
const toggle = document.getElementById("socket-toggle");
const log = document.getElementById("socket-log");
let socket;

function show(line) {
  const item = document.createElement("li");
  item.textContent = line;
  log.append(item);
  while (log.childElementCount > MAX_LINES) log.firstElementChild.remove();
  log.scrollTop = log.scrollHeight;
}

function connect() {
  const opened = new WebSocket(`wss://${location.host}/echo`);
  socket = opened;
  state.textContent = "connecting";
  toggle.textContent = "Disconnect";
  opened.onopen = () => {
    state.textContent = "open";
    send.disabled = false;
  };
  opened.onmessage = ({ data }) => show(`← ${data}`);
  opened.onclose = ({ code }) => {
    socket = undefined;
    state.textContent = `closed (${code})`;
    toggle.textContent = "Connect";
    send.disabled = true;
  };
}

toggle.addEventListener("click", () => socket === undefined ? connect() : socket.close());
form.addEventListener("submit", (event) => {
  event.preventDefault();
  if (socket?.readyState !== WebSocket.OPEN) return;
  show(`→ ${text.value}`);
  socket.send(text.value);
  text.select();
});

const eventsToggle = document.getElementById("events-toggle");
const last = document.getElementById("events-last");
let events;

function listen() {
  events = new EventSource("/events");
  last.textContent = "connecting";
  eventsToggle.textContent = "Stop";
  events.onmessage = ({ data }) => {
    const { count, time } = JSON.parse(data);
    last.textContent = `event ${count} at ${new Date(time).toLocaleTimeString()}`;
  };
  events.onerror = () => last.textContent = "interrupted; the browser tries again";
}

eventsToggle.addEventListener("click", () => {
  if (events === undefined) return listen();
  events.close();
  events = undefined;
  last.textContent = "not listening";
  eventsToggle.textContent = "Listen";
});

connect();
listen();
