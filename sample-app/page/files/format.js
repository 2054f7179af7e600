export const time = (at) => new Date(at).toLocaleTimeString('en-GB');
export const number = (value) => value.toLocaleString('en-US');
export const seconds = (milliseconds) => {
  if (milliseconds < 100) return 'less than 0.1 s';
  return milliseconds < 10_000 ? `${(milliseconds / 1_000).toFixed(1)} s` : `${Math.round(milliseconds / 1_000)} s`;
};
