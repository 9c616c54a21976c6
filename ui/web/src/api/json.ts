/**
 * JSON whose large integers keep their digits.
 *
 * `JSON.parse` rounds integers past 2^53. An order number that is rounded is shown wrong, and a filter
 * made of it by a click finds nothing; so they become text.
 */
const LARGE = /(?<=[:[,]\s*)-?\d{16,}(?=\s*[,}\]])/
/** Strings are matched first, so that digits inside of them are left alone. */
const TOKENS = /"(?:[^"\\]|\\.)*"|(?<=[:[,]\s*)-?\d{16,}(?=\s*[,}\]])/g

export function parseExact(text: string): unknown {
  if (!LARGE.test(text)) return JSON.parse(text)
  return JSON.parse(text.replace(TOKENS, (token) => (token.startsWith('"') || Number.isSafeInteger(Number(token)) ? token : `"${token}"`)))
}
