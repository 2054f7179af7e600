export const time = (at) => new Date(at).toLocaleTimeString('en-GB');
export const number = (value) => value.toLocaleString('en-US');
export const seconds = (milliseconds) =>
  milliseconds < 10_000 ? `${(milliseconds / 1_000).toFixed(1)} s` : `${Math.round(milliseconds / 1_000)} s`;
