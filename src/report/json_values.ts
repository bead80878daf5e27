/** Values of JSON that somebody else wrote: each is what it should be, or null. */

export type JsonObject = Readonly<Record<string, unknown>>;

export function numberIn(value: unknown): number | null {
  return typeof value === 'number' && Number.isFinite(value) ? value : null;
}

export function textIn(value: unknown): string | null {
  return typeof value === 'string' ? value : null;
}

export function objectIn(value: unknown): JsonObject | null {
  const isObject = typeof value === 'object' && value !== null && !Array.isArray(value);
  return isObject ? (value as JsonObject) : null;
}

export function arrayIn(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

export function objectsIn(value: unknown): readonly JsonObject[] {
  return arrayIn(value).flatMap((one) => {
    const object = objectIn(one);
    return object === null ? [] : [object];
  });
}

/** Null: it is no JSON, or no object. */
export function parsedObject(line: string): JsonObject | null {
  try {
    return objectIn(JSON.parse(line));
  } catch {
    return null;
  }
}
