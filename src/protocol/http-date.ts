const day = '(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)';
const month = '(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)';
const time = '\\d{2}:\\d{2}:\\d{2}';
const fixdate = new RegExp(`^${day}, \\d{2} ${month} \\d{4} ${time} GMT$`);
const rfc850 = new RegExp(`^${day}[a-z]{3,6}, \\d{2}-${month}-\\d{2} ${time} GMT$`);
const asctime = new RegExp(`^${day} ${month} [ \\d]\\d ${time} \\d{4}$`);

/** Reads an HTTP date in any of its three forms (RFC 9110 section 5.6.7); undefined for anything else. */
export function parseHttpDate(text: string): Date | undefined {
  const trimmed = text.trim();
  const zoned = asctime.test(trimmed) ? `${trimmed} GMT` : trimmed;
  if (zoned === trimmed && !fixdate.test(trimmed) && !rfc850.test(trimmed)) return undefined;
  const date = new Date(zoned);
  return Number.isNaN(date.getTime()) ? undefined : date;
}
