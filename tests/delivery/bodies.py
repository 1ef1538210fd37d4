"""Properties of traits and components that use all that there is, for tables and live tests."""

from reconcile.values import JSON

REF = {"name": "settings", "key": "MODE"}
HPA: JSON = {
    "min": 2,
    "max": 4,
    "targetAPIVersion": "apps/v1",
    "targetKind": "Deployment",
    "cpu": {"type": "Utilization", "value": 60},
    "mem": {"type": "AverageValue", "value": 500_000_000},
    "podCustomMetrics": [{"name": "requests", "value": "100"}],
}
EXPOSE: JSON = {
    "ports": [{"port": 9090}, {"port": 53, "protocol": "UDP", "name": "dns"}],
    "annotations": {"example.com/note": "x"},
    "type": "ClusterIP",
}
GATEWAY: JSON = {
    "domain": "shop.example.org",
    "http": {"/": 80, "/api": 8080},
    "class": "traefik",
    "classInSpec": True,
    "secretName": "certificate",
    "pathType": "Prefix",
    "labels": {"team": "checkout"},
    "annotations": {"cert-manager.io/cluster-issuer": "public"},
}
SIDECAR: JSON = {
    "name": "log",
    "image": "busybox:1",
    "cmd": ["tail"],
    "args": ["-f", "/dev/null"],
    "env": [{"name": "A"}, {"name": "B", "valueFrom": {"secretKeyRef": REF}}],
    "livenessProbe": {"exec": {"command": ["true"]}},
}
INIT: JSON = {
    "name": "fetch",
    "image": "busybox:1",
    "imagePullPolicy": "Always",
    "cmd": ["true"],
    "env": [{"name": "A", "value": "b"}],
    "mountName": "shared",
    "appMountPath": "/srv",
    "initMountPath": "/out",
    "extraVolumeMounts": [{"name": "configmap-settings", "mountPath": "/in"}],
}
CONFIG: JSON = {
    "configMap": [
        {
            "name": "settings",
            "data": {"MODE": "prod", "b.ini": "x=1"},
            "mountPath": "/etc/app",
            "readOnly": True,
            "items": [{"key": "b.ini", "path": "b.ini", "mode": 0o440}],
            "mountToEnv": {"envName": "MODE", "configMapKey": "MODE"},
            "mountToEnvs": [{"envName": "MODE2", "configMapKey": "MODE"}],
        }
    ],
    "emptyDir": [{"name": "cache", "mountPath": "/cache", "medium": "Memory"}],
}
STORAGE: JSON = {
    **CONFIG,
    "pvc": [
        {
            "name": "files",
            "mountPath": "/files",
            "subPath": "a/b",
            "accessModes": ["ReadWriteMany"],
            "storageClassName": "fast",
            "resources": {"requests": {"storage": "1Gi"}, "limits": {"storage": "2Gi"}},
        },
        {"name": "others", "mountOnly": True, "mountPath": "/others"},
    ],
    "secret": [
        {
            "name": "token",
            "mountOnly": True,
            "mountPath": "/run/token",
            "defaultMode": 0o400,
            "mountToEnv": {"envName": "TOKEN", "secretKey": "token"},
        }
    ],
}
PROBE: JSON = {"httpGet": {"path": "/", "port": 80}, "periodSeconds": 2, "failureThreshold": 30}
AFFINITY: JSON = {
    "podAntiAffinity": {
        "preferred": [
            {
                "weight": 10,
                "podAffinityTerm": {
                    "labelSelector": {"matchLabels": {"team": "checkout"}},
                    "topologyKey": "kubernetes.io/hostname",
                },
            }
        ]
    },
    "nodeAffinity": {
        "preferred": [
            {
                "weight": 1,
                "preference": {
                    "matchExpressions": [{"key": "disk", "operator": "In", "values": ["ssd"]}]
                },
            }
        ]
    },
    "tolerations": [{"key": "example.com/batch", "operator": "Exists", "effect": "NoSchedule"}],
}
SECURITY: JSON = {
    "addCapabilities": ["NET_BIND_SERVICE"],
    "dropCapabilities": ["NET_RAW"],
    "allowPrivilegeEscalation": False,
    "privileged": False,
    "readOnlyRootFilesystem": True,
    "runAsNonRoot": True,
    "runAsUser": 1000,
    "runAsGroup": 1000,
}
CRON: JSON = {
    "schedule": "*/5 * * * *",
    "startingDeadlineSeconds": 60,
    "suspend": False,
    "concurrencyPolicy": "Forbid",
    "successfulJobsHistoryLimit": 1,
    "failedJobsHistoryLimit": 0,
    "count": 2,
    "restart": "OnFailure",
    "ttlSecondsAfterFinished": 60,
    "activeDeadlineSeconds": 600,
    "backoffLimit": 2,
    "labels": {"team": "checkout"},
    "annotations": {"example.com/a": "b"},
}
MOUNTS: JSON = {
    "pvc": [{"name": "data", "mountPath": "/data", "claimName": "others"}],
    "configMap": [{"name": "conf", "mountPath": "/conf", "cmName": "settings", "subPath": "x"}],
    "secret": [{"name": "keys", "mountPath": "/keys", "secretName": "keys", "defaultMode": 0o400}],
    "emptyDir": [{"name": "tmp", "mountPath": "/tmp", "medium": "Memory"}],
}
TRAITS: dict[str, JSON] = {
    "scaler": {"replicas": 2},
    "hpa": HPA,
    "env": {"env": {"A": "b"}, "unset": ["C"]},
    "resource": {"cpu": 0.5, "memory": "1Gi"},
    "labels": {"team": "checkout"},
    "annotations": {"example.com/a": "b"},
    "expose": EXPOSE,
    "gateway": GATEWAY,
    "storage": STORAGE,
    "sidecar": SIDECAR,
    "init-container": INIT | {"extraVolumeMounts": []},
    "startup-probe": PROBE,
    "service-account": {"name": "builder", "create": False},
    "affinity": AFFINITY,
    "securitycontext": SECURITY,
}
