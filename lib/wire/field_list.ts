/** Header fields in their order: names and values alternate. Every octet is one character (latin1). */
export type FieldList = string[];
