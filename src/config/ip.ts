/** IP literals as text. Only whether a text is one: bytes are made where they are needed. */

/** Four decimal numbers to 255 without leading zeros: `010` would be eight to some readers. */
export function isIpv4(text: string): boolean {
  const parts = text.split(".");
  return parts.length === 4 && parts.every(isIpv4Part);
}

function isIpv4Part(part: string): boolean {
  if (!/^[0-9]{1,3}$/.test(part) || Number(part) > 255) return false;
  return part === "0" || !part.startsWith("0");
}

/** RFC 4291 2.2, without brackets and without a zone (`%eth0`). */
export function isIpv6(text: string): boolean {
  const halves = text.split("::");
  if (halves.length > 2) return false;
  const [head = "", tail] = halves;
  const headGroups = groupCount(head, tail === undefined);
  const tailGroups = tail === undefined ? 0 : groupCount(tail, true);
  if (headGroups < 0 || tailGroups < 0) return false;
  const total = headGroups + tailGroups;
  return tail === undefined ? total === 8 : total <= 7;
}

/** How many 16-bit groups `text` stands for; -1 when one is wrong. Only the end of an address may be in IPv4 form. */
function groupCount(text: string, mayEndInIpv4: boolean): number {
  if (text === "") return 0;
  const groups = text.split(":");
  let count = 0;
  for (const [index, group] of groups.entries()) {
    const isLast = index === groups.length - 1;
    if (/^[0-9a-fA-F]{1,4}$/.test(group)) count += 1;
    else if (isLast && mayEndInIpv4 && isIpv4(group)) count += 2;
    else return -1;
  }
  return count;
}
