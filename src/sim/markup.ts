/** Text and numbers as they stand in HTML and SVG. */

/** Fit for text and for attributes in quotes: nothing in it is read as markup. */
export function escaped(text: string): string {
  return text.replace(/[&<>"']/g, character => `&#${character.charCodeAt(0)};`)
}

/** A coordinate: a tenth of a unit is finer than a screen. */
export function coordinate(value: number): string {
  return String(Math.round(value * 10) / 10)
}
