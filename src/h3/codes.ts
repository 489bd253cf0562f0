/** HTTP/3 error codes that we send (RFC 9114 8.1). */
export const H3_CODE = {
  noError: 0x100,
  internalError: 0x102,
  excessiveLoad: 0x107,
  requestRejected: 0x10b,
  requestCancelled: 0x10c,
  requestIncomplete: 0x10d,
  messageError: 0x10e,
} as const;
