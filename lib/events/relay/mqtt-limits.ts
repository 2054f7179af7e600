/** A message of MQTT, as far as its size matters. */
export interface MqttContent {
  readonly topic: string;
  readonly content: string | Buffer;
  readonly userProperties: Readonly<Record<string, string | readonly string[]>>;
}

/** The largest packet that MQTT has, and the longest text in it. */
export const MAX_PACKET_BYTES = 268_435_460;
const MAX_TEXT_BYTES = 65_535;
/** What MQTT lets a broker end a connection for: control characters, and code points that are no characters. */
const NO_TEXT = /[\p{Cc}\p{Noncharacter_Code_Point}]/u;

/**
 * A broker ends the connection for a text that MQTT does not allow, and mqtt.js would publish it again at each new one; one that
 * is too long keeps mqtt.js from writing anything more.
 *
 * @throws TypeError
 */
export function checkTexts({ topic, userProperties }: MqttContent): void {
  if (/[+#]/.test(topic)) throw new TypeError(`an MQTT topic has no + or #: ${JSON.stringify(topic)}`);
  checkText('its topic', topic);
  for (const [name, given] of Object.entries(userProperties)) {
    checkText('the name of a header', name);
    for (const value of [given].flat()) checkText(`its ${JSON.stringify(name)}`, value);
  }
}

function checkText(what: string, text: string): void {
  const size = Buffer.byteLength(text);
  if (size > MAX_TEXT_BYTES) throw new TypeError(`${what} has ${size} bytes, and MQTT allows ${MAX_TEXT_BYTES}`);
  const [found] = NO_TEXT.exec(text) ?? [];
  if (found === undefined) return;
  const code = found.codePointAt(0)!.toString(16).toUpperCase().padStart(4, '0');
  throw new TypeError(`${what} has the character U+${code}, for which an MQTT broker may end the connection`);
}

/** The size of a PUBLISH with quality of service 1: section 3.3 of the specification of MQTT 5. */
export function packetSize({ topic, content, userProperties }: MqttContent): number {
  const text = (value: string): number => 2 + Buffer.byteLength(value);
  let properties = 0;
  for (const [name, given] of Object.entries(userProperties)) {
    for (const value of [given].flat()) properties += 1 + text(name) + text(value);
  }
  const body = text(topic) + 2 + lengthSize(properties) + properties + Buffer.byteLength(content);
  return 1 + lengthSize(body) + body;
}

/** How many bytes a length takes: seven bits in each. */
function lengthSize(length: number): number {
  return Math.max(1, Math.ceil(Math.log2(length + 1) / 7));
}
