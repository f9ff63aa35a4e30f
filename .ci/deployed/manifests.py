#!/usr/bin/env python3
"""Holds rendered manifests to what schemas do not say: manifests.py OVERLAY RENDERED."""

import sys
from pathlib import Path

import yaml

SERVER_KINDS = {"Deployment", "Service", "PodDisruptionBudget", "ServiceMonitor", "PrometheusRule"}
# What servers and jobs want of the cluster beside the manifests.
SECRETS = {"archd-mongodb", "archd-tls", "archd-identities"}


def pods(manifests):
    """The pods that manifests make: whose they are, their labels, their specification."""
    for manifest in manifests:
        spec = manifest.get("spec", {})
        if manifest["kind"] == "CronJob":
            spec = spec["jobTemplate"]["spec"]
        if "template" in spec:
            pod = spec["template"]
            yield manifest["metadata"]["name"], pod["metadata"]["labels"], pod["spec"]


def selected(selector, labels):
    """Whether a selector takes something with these labels.

    >>> selected({"a": "1"}, {"a": "1", "b": "2"}), selected({"a": "2"}, {"a": "1"}), selected({}, {})
    (True, False, True)
    """
    return selector.items() <= labels.items()


def faults_of_pod(name, pod, config):
    """What is wrong with a pod, in words."""

    def want(holds, what):
        if not holds:
            yield f"{name}: {what}"

    security = pod.get("securityContext", {})
    yield from want(security.get("runAsNonRoot") is True, "may run as root")
    yield from want(security.get("runAsUser", 0) > 0, "has no user of its own")
    yield from want(security.get("seccompProfile") == {"type": "RuntimeDefault"}, "has no seccomp profile")
    yield from want(pod.get("automountServiceAccountToken") is False, "is given a token of the cluster")
    yield from want(pod.get("enableServiceLinks") is False, "is given variables of services")
    volumes = {volume["name"]: volume for volume in pod.get("volumes", [])}
    for container in pod["containers"]:
        context = container.get("securityContext", {})
        yield from want(context.get("allowPrivilegeEscalation") is False, "may gain privileges")
        yield from want(context.get("readOnlyRootFilesystem") is True, "may write into its image")
        yield from want(context.get("capabilities") == {"drop": ["ALL"]}, "keeps capabilities")
        yield from want("memory" in container["resources"]["limits"], "has no limit of memory")
        image, _, tag = container["image"].rpartition(":")
        yield from want(image and tag not in ("", "latest"), f"takes whatever {container['image']} is")
        # A name that is longer is refused by the cluster.
        ports = {port["name"]: port["containerPort"] for port in container.get("ports", [])}
        yield from want(all(len(port) <= 15 for port in ports), "has a port with too long a name")
        probes = {kind: container[kind] for kind in container if kind.endswith("Probe")}
        for kind, probe in probes.items():
            asked = probe["httpGet"]
            yield from want(asked["port"] in ports, f"{kind} asks at no port of the container")
            yield from want(asked["scheme"] == "HTTPS", f"{kind} speaks no TLS")
            ready = kind == "readinessProbe"
            # Whoever is killed because the database is away finds the same database.
            yield from want(asked["path"] == ("/readyz" if ready else "/livez"), f"{kind} asks for {asked['path']}")
        environment = dict(config)
        environment.update({entry["name"]: entry.get("value") for entry in container.get("env", [])})
        mounts = {mount["mountPath"]: volumes.get(mount["name"]) for mount in container.get("volumeMounts", [])}
        yield from want(all(mounts.values()), "mounts a volume that it has not")
        for variable, value in environment.items():
            if value and value.startswith("/run/secrets/"):
                yield from want(any(value.startswith(mount + "/") for mount in mounts), f"{variable} is in no volume")
        if ports:
            yield from want(set(probes) == {"startupProbe", "livenessProbe", "readinessProbe"}, "lacks a probe")
            listeners = {variable: environment.get(variable, "") for variable in ("ARCHD_LISTEN", "ARCHD_HTTP")}
            told = {int(address.rpartition(":")[2] or 0) for address in listeners.values()}
            yield from want(told == set(ports.values()), f"listens at {listeners}, and says {ports}")
            for secret in ("ARCHD_TLS_CERT", "ARCHD_TLS_KEY", "ARCHD_AUTH_FILE"):
                yield from want(environment.get(secret), f"has no {secret}")
    # ARCHD_SHUTDOWN_GRACE, which nobody changes here, is 20 seconds.
    delay = int(environment.get("ARCHD_SHUTDOWN_DELAY", "0s").removesuffix("s"))
    grace = pod.get("terminationGracePeriodSeconds", 30)
    yield from want(grace >= delay + 20 + 10, f"is killed after {grace} seconds")
    yield from want(delay > 0 or not ports, "gives callers no time to hear that it goes")
    used = {
        source["secret"]["name"] for volume in volumes.values() for source in volume.get("projected", {})["sources"]
    }
    yield from want(used <= SECRETS, f"wants other Secrets than are told of: {used}")


def faults(overlay, manifests):
    """What is wrong with the manifests of an overlay, in words."""
    kinds = [manifest["kind"] for manifest in manifests]
    all_pods = list(pods(manifests))
    configs = {item["metadata"]["name"]: item["data"] for item in manifests if item["kind"] == "ConfigMap"}
    for name, labels, pod in all_pods:
        config = {}
        for container in pod["containers"]:
            for source in container["envFrom"]:
                config.update(configs[source["configMapRef"]["name"]])
        yield from faults_of_pod(name, pod, config)
        accounts = [item["metadata"]["name"] for item in manifests if item["kind"] == "ServiceAccount"]
        if pod["serviceAccountName"] not in accounts:
            yield f"{name}: nobody is {pod['serviceAccountName']}"
    for manifest in manifests:
        kind, spec = manifest["kind"], manifest.get("spec", {})
        name = f"{kind} {manifest['metadata']['name']}"
        if kind != "Namespace" and manifest["metadata"].get("namespace") != "order-archiver":
            yield f"{name} is in another namespace"
        selector = {
            "Service": lambda: spec["selector"],
            "PodDisruptionBudget": lambda: spec["selector"]["matchLabels"],
            "NetworkPolicy": lambda: spec["podSelector"]["matchLabels"],
            "Deployment": lambda: spec["selector"]["matchLabels"],
        }.get(kind)
        if selector and not any(selected(selector(), labels) for _, labels, _ in all_pods):
            yield f"{name} selects no pod"
        if kind == "NetworkPolicy":
            left_out = [name for name, labels, _ in all_pods if not selected(selector(), labels)]
            if left_out:
                yield f"{name} leaves out {left_out}"
        if kind == "ServiceMonitor":
            services = [item for item in manifests if item["kind"] == "Service"]
            chosen = [item for item in services if selected(spec["selector"]["matchLabels"], item["metadata"]["labels"])]
            if [item["metadata"]["name"] for item in chosen] != ["archd"]:
                # The job of Prometheus has the name of the Service, and the alerts go by it.
                yield f"{name} scrapes {chosen}"
            ports = {port["name"] for item in chosen for port in item["spec"]["ports"]}
            if any(endpoint["port"] not in ports for endpoint in spec["endpoints"]):
                yield f"{name} scrapes a port that there is not: {ports}"
            wanted = f"archd.{manifest['metadata'].get('namespace')}.svc"
            for endpoint in spec["endpoints"]:
                if endpoint["tlsConfig"]["serverName"] != wanted:
                    yield f"{name} expects another server than {wanted}"
        if kind == "Namespace" and manifest["metadata"]["labels"].get("pod-security.kubernetes.io/enforce") != "restricted":
            yield f"{name} lets in more than it has to"
    expected = {
        "production": SERVER_KINDS | {"NetworkPolicy"},
        "batch-only": {"CronJob", "NetworkPolicy"},
    }[overlay]
    if not expected <= set(kinds):
        yield f"{overlay} lacks {expected - set(kinds)}"
    if overlay == "batch-only" and SERVER_KINDS & set(kinds):
        yield f"{overlay} has {SERVER_KINDS & set(kinds)}"


def main():
    overlay, rendered = sys.argv[1:]
    manifests = [manifest for manifest in yaml.safe_load_all(Path(rendered).read_text()) if manifest]
    found = list(faults(overlay, manifests))
    print(*found, sep="\n", end="\n" if found else "")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
