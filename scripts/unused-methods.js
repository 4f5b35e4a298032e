/**
 * Methods that nobody calls, for the page's script: what only simulations, tests or Node peers ask of a class. Bundlers keep
 * every method, as any text could name one; a name that the build itself has shortened is no text's.
 */
import { parse } from 'acorn'

/**
 * The script with spaces in place of the methods, getters and setters of classes that are called by one of `names` and that
 * nothing reaches which stays: lines and columns stay as they are.
 */
export function withoutUnusedMethods(code, names) {
  const shortened = new Set(names)
  const methodsOf = new Map()
  const used = new Set()
  const waiting = [parse(code, { ecmaVersion: 'latest', sourceType: 'module' })]
  const use = name => {
    if (used.has(name)) return
    used.add(name)
    // What it does counts from now on.
    for (const method of methodsOf.get(name) ?? []) waiting.push(method.value)
  }
  for (let node = waiting.pop(); node !== undefined; node = waiting.pop()) {
    if (node.type === 'MemberExpression' && !node.computed) use(node.property.name)
    if (node.type === 'ObjectPattern') for (const { key } of node.properties) if (key !== undefined) use(key.name)
    if (isMethod(node) && shortened.has(node.key.name) && !used.has(node.key.name)) {
      methodsOf.set(node.key.name, [...(methodsOf.get(node.key.name) ?? []), node])
      continue
    }
    for (const value of Object.values(node)) {
      for (const child of Array.isArray(value) ? value : [value])
        if (typeof child?.type === 'string') waiting.push(child)
    }
  }
  let left = code
  for (const [name, methods] of methodsOf) {
    if (used.has(name)) continue
    for (const { start, end } of methods)
      left = left.slice(0, start) + left.slice(start, end).replace(/[^\n]/g, ' ') + left.slice(end)
  }
  return left
}

function isMethod(node) {
  return node.type === 'MethodDefinition' && !node.computed && node.kind !== 'constructor'
}
