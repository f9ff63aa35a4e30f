// Holds rendered manifests on standard input to what the Prometheus operator takes.
import { readFileSync } from "node:fs";
import * as operator from "@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1";
import { parseAllDocuments } from "yaml";

const manifests = parseAllDocuments(readFileSync(0, "utf8")).map((document) => document.toJS());
const ours = manifests.filter((manifest) => manifest.apiVersion === "monitoring.coreos.com/v1");
if (ours.length < 2) throw new Error(`too few for the operator: ${ours.length}`);
for (const manifest of ours) new operator[manifest.kind](manifest).validate();
