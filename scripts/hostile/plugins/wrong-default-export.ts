/** Exports what it would have given to `defineHandler`. */
export default {
  topic: 'hostile',
  run() {},
};
