/** Can this program go on from what another one has left? Asked by the trial before, and once more when it does. */
import type { Handover } from "../control/handover.ts";
import { makeNodeKeys, type NodeSecretLists, steeringKeys } from "../control/node-keys.ts";
import { LINK_VERSION, readSecrets } from "../control/worker-link.ts";
import { ProxyError } from "../core/error.ts";
import type { Runtime } from "../runtime/runtime.ts";
import { checkReferences } from "./references.ts";
import { type Configuration, parseConfiguration } from "./configuration.ts";

/** What a document says, understood. */
export interface Understood {
  readonly configuration: Configuration;
  readonly secrets: NodeSecretLists;
}

/** Throws `HANDOVER`, or what is wrong with the configuration. */
export function understand(handover: Handover, runtime: Runtime): Understood {
  const { linkVersion } = handover;
  if (linkVersion !== LINK_VERSION)
    throw cannot(`its workers understand messages of form ${linkVersion}, this program writes ${LINK_VERSION}`);
  const secrets = readSecrets(handover.secrets);
  if (secrets === null) throw cannot("its secrets do not read");
  const configuration = parseConfiguration(handover.configPath, handover.configText);
  if (steeringText(secrets, configuration) !== handover.steering)
    throw cannot("this program would look for the connections of its workers by other marks");
  checkReferences(configuration.snapshot, runtime);
  return { configuration, secrets };
}

/** By what a program tells the connections of its workers apart, as a text to compare. */
export function steeringText(secrets: NodeSecretLists, { snapshot }: Configuration): string {
  const { mark, multiplier } = steeringKeys(makeNodeKeys(secrets, snapshot.cluster));
  return JSON.stringify({ mark, multiplier });
}

function cannot(reason: string): ProxyError {
  return new ProxyError("HANDOVER", `what the program before has left cannot be taken over: ${reason}`);
}
