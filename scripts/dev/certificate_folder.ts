/**
 * Certificates that are kept in a folder from one start to the next, so that whoever trusts the authority once need not
 * do so again.
 *
 * @module
 */

import { createPrivateKey, X509Certificate } from "node:crypto";
import { join } from "node:path";
import { type Authority, createAuthority, type KeyPair, loadAuthority } from "./certificates.ts";

/** How much longer a kept certificate must be valid to be used again, in milliseconds: 7 days. */
const MIN_REMAINING = 7 * 24 * 3_600_000;

/**
 * The authority in `ca.pem` and `ca.key`, or a new one where there is none that can be used for another 7 days.
 *
 * @param domain The one DNS domain that it can vouch for.
 */
export async function keepAuthority(folder: string, commonName: string, domain: string): Promise<Authority> {
  const kept = await readPair(folder, "ca");
  if (kept && remains(kept.cert)) {
    try {
      return await loadAuthority(kept);
    } catch {
      // Damaged, or cert and key of different starts: a new authority is what mends it.
    }
  }
  const authority = await createAuthority(commonName, { domain });
  await writePair(folder, "ca", authority);
  return authority;
}

/**
 * The certificate for `hostname` in files of that name, or a new one where there is none of this authority that can be
 * used for another 7 days.
 */
export async function keepCertificate(folder: string, authority: Authority, hostname: string): Promise<KeyPair> {
  const kept = await readPair(folder, hostname);
  if (kept && remains(kept.cert) && isIssuedBy(kept, authority, hostname)) return kept;
  const issued = await authority.issue({ hostnames: [hostname] });
  await writePair(folder, hostname, issued);
  return issued;
}

function remains(cert: string): boolean {
  try {
    return Date.parse(new X509Certificate(cert).validTo) - Date.now() > MIN_REMAINING;
  } catch {
    return false; // not a certificate
  }
}

function isIssuedBy({ cert, key }: KeyPair, authority: Authority, hostname: string): boolean {
  try {
    const certificate = new X509Certificate(cert);
    return certificate.verify(new X509Certificate(authority.cert).publicKey) &&
      certificate.checkHost(hostname) !== undefined && certificate.checkPrivateKey(createPrivateKey(key));
  } catch {
    return false; // not a key
  }
}

async function readPair(folder: string, name: string): Promise<KeyPair | undefined> {
  try {
    const [cert, key] = await Promise.all([
      Deno.readTextFile(join(folder, `${name}.pem`)),
      Deno.readTextFile(join(folder, `${name}.key`)),
    ]);
    return { cert, key };
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

async function writePair(folder: string, name: string, { cert, key }: KeyPair): Promise<void> {
  const keyFile = join(folder, `${name}.key`);
  await Deno.remove(keyFile).catch((error) => {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  });
  await Deno.writeTextFile(keyFile, key, { mode: 0o600, createNew: true }); // a mode is given to new files only
  await Deno.writeTextFile(join(folder, `${name}.pem`), cert);
}
