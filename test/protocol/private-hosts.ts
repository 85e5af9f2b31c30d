/** Addresses that the broker must never call, from every range that is not globally reachable unicast. */
export const privateAddresses = `
  0.0.0.0 0.1.2.3 10.0.0.1 100.64.0.1 100.100.100.200 127.0.0.1 127.255.255.254 169.254.169.254 172.16.0.1 172.31.255.255 192.0.0.1
  192.0.0.192 192.0.2.1 192.88.99.1 192.168.1.1 198.18.0.1 198.19.255.255 198.51.100.1 203.0.113.1 224.0.0.1 239.255.255.255 240.0.0.1
  255.255.255.255 168.63.129.16 :: ::1 ::127.0.0.1 ::1.1.1.1 ::ffff:127.0.0.1 ::ffff:7f00:1 ::ffff:1.1.1.1 ::ffff:0:127.0.0.1 64:ff9b::7f00:1
  64:ff9b::a9fe:a9fe 64:ff9b:1::1 100::1 100:0:0:1::1 200::1 2001::1 2001:2::1 2001:10::1 2001:20::1 2001:100::1 2001:1ff::1 2001:db8::1
  2002:7f00:1:: 2002:0808:0808::1 3fff::1 4000::1 5f00::1 fc00::1 fd00:ec2::254 fe80::1 fe80::1%lo fec0::1 ff02::1
`
  .trim()
  .split(/\s+/);

/** The same thing said in ways that a parser may or may not see through. */
export const privateUrls = `
  https://127.0.0.1/ https://127.1/ https://127.0.1/ https://0/ https://0.0.0.0/ https://2130706433/ https://0x7f000001/ https://0x7f.0.0.1/
  https://0x7f.1/ https://0177.0.0.1/ https://017700000001/ https://0177.0x0.1/ https://127.0.0.1./ https://127.0.0.01/
  https://%31%32%37.0.0.1/ https://\uff11\uff12\uff17.0.0.1/ https://\u2460\u2461\u2466.0.0.1/ https://127\u30020.0.1/ https://localhost/
  https://LOCALHOST/ https://localhost./ https://\u24db\u24de\u24d2\u24d0\u24db\u24d7\u24de\u24e2\u24e3/ https://a.localhost/
  https://example.org@127.0.0.1/ https://127.0.0.1:443/ https://127.0.0.1:80\\@example.org/ https://[::1]/ https://[::]/
  https://[0:0:0:0:0:0:0:1]/ https://[::127.0.0.1]/ https://[::ffff:127.0.0.1]/ https://[::ffff:7f00:1]/ https://[::ffff:0:127.0.0.1]/
  https://[64:ff9b::127.0.0.1]/ https://[2002:7f00:1::]/ https://[fec0::1]/ https://[fe80::1%25lo]/ https://[fd00:ec2::254]/
  https://169.254.169.254/latest/meta-data/ https://2852039166/ https://0xa9fea9fe/ https://metadata.google.internal/ https://100.64.0.1/
  https://198.18.0.1/ https://192.0.0.1/ https://10.1/ https://192.168.257/ https://localhost.localdomain/ https://intranet/
  https://example.org./
`
  .trim()
  .split(/\s+/);
