export { turnTime } from "./turn.ts";
