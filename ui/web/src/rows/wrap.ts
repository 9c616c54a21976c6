/**
 * How high a wrapped line is, from its text alone.
 *
 * Rows are not measured in the document: measured heights arrive late and make the list jump while
 * it is read. In a monospace face the height follows from the characters, so it is known before.
 */

/** Wide in every monospace face: CJK, kana, hangul, full-width forms, most emoji. */
const WIDE = /[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]|[\ud83c-\ud83e][\udc00-\udfff]/g

export const TAB_COLUMNS = 4

/** Lines on screen that `text` takes when each holds `columns` characters and breaks anywhere. */
export function wrappedLines(text: string, columns: number): number {
  const width = Math.max(1, columns)
  let lines = 0
  for (const part of text.split('\n')) lines += Math.max(1, Math.ceil(columnsOf(part) / width))
  return lines
}

function columnsOf(text: string): number {
  let columns = text.length
  if (text.includes('\t')) {
    columns = 0
    for (const char of text) columns += char === '\t' ? TAB_COLUMNS - (columns % TAB_COLUMNS) : 1
  }
  // The plain case first: most log lines are ASCII, and this runs for every row of the page.
  return /^[\x20-\x7e\t]*$/.test(text) ? columns : columns + (text.match(WIDE)?.length ?? 0)
}
