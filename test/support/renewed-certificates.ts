/** Certificates that are renewed on the disk in the ways that people's programs do it: by other files, by other links, by another folder. */
import { chmodSync, mkdirSync, readlinkSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { DevCertificate } from "../../src/control/dev-cert.ts";
import type { CertificateFiles } from "./certs.ts";
import { tempFolder } from "./temp.ts";

/** Who renews: a script that moves new files into place, certbot, or Kubernetes (a secret that is mounted as a volume). */
export type Renewer = "files" | "certbot" | "kubernetes";

/** A certificate whose paths stay and whose content changes. */
export interface RenewedCertificate {
  readonly files: CertificateFiles;
  /** Another one in the renewer's own way. */
  renew(certificate: DevCertificate): void;
}

/** With its first certificate. */
export function renewedCertificate(renewer: Renewer, first: DevCertificate): RenewedCertificate {
  const folder = tempFolder("renewed");
  const made = { files: byFiles, certbot: byCertbot, kubernetes: byKubernetes }[renewer](folder);
  const caFile = join(folder, "ca.pem");
  writeFileSync(caFile, first.caPem);
  made.renew(first);
  return { files: { ...made.files, caFile }, renew: made.renew };
}

interface Made {
  readonly files: Omit<CertificateFiles, "caFile">;
  renew(certificate: DevCertificate): void;
}

/** One after the other: for a moment the key is not that of the certificate. */
function byFiles(folder: string): Made {
  const files = { certFile: join(folder, "cert.pem"), keyFile: join(folder, "key.pem") };
  return {
    files,
    renew: ({ certPem, keyPem }) => {
      replaceFile(files.certFile, certPem);
      replaceFile(files.keyFile, keyPem);
    },
  };
}

/** `live/NAME/*.pem` are links to `archive/NAME/*N.pem`; a renewal writes the next N and changes the links, one by one. */
function byCertbot(folder: string): Made {
  const [live, archive] = [join(folder, "live", "localhost"), join(folder, "archive", "localhost")];
  for (const path of [live, archive]) mkdirSync(path, { recursive: true, mode: 0o700 });
  let number = 0;
  return {
    files: { certFile: join(live, "fullchain.pem"), keyFile: join(live, "privkey.pem") },
    renew: ({ certPem, keyPem }) => {
      number += 1;
      const parts = [
        ["privkey", keyPem],
        ["fullchain", certPem],
      ] as const;
      for (const [name, pem] of parts) writeFileSync(join(archive, `${name}${number}.pem`), pem, { mode: 0o600 });
      for (const [name] of parts) {
        const link = join(live, `${name}.pem`);
        rmSync(link, { force: true });
        symlinkSync(join("..", "..", "archive", "localhost", `${name}${number}.pem`), link);
      }
    },
  };
}

/** `tls.crt` is a link to `..data/tls.crt`, and `..data` one to a folder: a renewal is another folder and one rename of that link. */
function byKubernetes(folder: string): Made {
  const files = { certFile: join(folder, "tls.crt"), keyFile: join(folder, "tls.key") };
  const [data, fresh] = [join(folder, "..data"), join(folder, "..data_tmp")];
  let number = 0;
  symlinkSync(join("..data", "tls.crt"), files.certFile);
  symlinkSync(join("..data", "tls.key"), files.keyFile);
  return {
    files,
    renew: ({ certPem, keyPem }) => {
      number += 1;
      const name = `..2026_01_01_00_00_00.${number}`;
      mkdirSync(join(folder, name));
      writeFileSync(join(folder, name, "tls.crt"), certPem);
      writeFileSync(join(folder, name, "tls.key"), keyPem, { mode: 0o600 });
      chmodSync(join(folder, name), 0o755);
      const before = number === 1 ? null : readlinkSync(data);
      symlinkSync(name, fresh);
      renameSync(fresh, data);
      if (before !== null) rmSync(join(folder, before), { recursive: true });
    },
  };
}

function replaceFile(path: string, content: string): void {
  writeFileSync(`${path}.new`, content, { mode: 0o600 });
  renameSync(`${path}.new`, path);
}
