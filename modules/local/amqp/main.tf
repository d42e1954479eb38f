# A RabbitMQ broker in the cluster of this machine, with one virtual host, one user to
# whom all of it is granted, and the queues that are asked for. Its password is made
# once, into the environment's secret store, and is in no state; its certificate is by
# the environment's own authority. Teams' workloads alone can connect. Data is on a
# volume of the node that outlasts restarts, and where the environment is protected
# nothing deletes it.

locals {
  # A name has at most 63 characters, and two must not become one.
  id        = length(var.name) <= 40 ? var.name : "${trimsuffix(substr(var.name, 0, 31), "-")}-${substr(sha256(var.name), 0, 8)}"
  namespace = "strata-data"
  host      = "${local.id}.${local.namespace}.svc.cluster.local"
  port      = 5671
  metrics   = 15691
  username  = "app"
  probe     = ["/usr/bin/strata-entry", "probe"]
  labels    = { "app.kubernetes.io/name" = local.id, "app.kubernetes.io/component" = "amqp" }
  vhost     = local.id

  memory = {
    small  = "512Mi"
    medium = "1Gi"
    large  = "2Gi"
    xlarge = "4Gi"
  }[var.size]
}

data "strata_image" "this" {
  name = "rabbitmq"
}

resource "strata_secret" "this" {
  store      = var.secret_store
  kubeconfig = var.kubeconfig
  path       = "${var.secret_path}/password"
}

# Pods read their own namespace only.
resource "strata_secret_copy" "this" {
  kubeconfig = var.kubeconfig
  store      = var.secret_store
  namespace  = local.namespace
  name       = local.id
  secrets    = { password = strata_secret.this.path }
  data       = { password = "{{password}}" }
}

resource "strata_certificate" "this" {
  kubeconfig = var.kubeconfig
  store      = var.secret_store
  namespace  = local.namespace
  name       = "${local.id}-tls"
  dns_names  = [local.host, "${local.id}.${local.namespace}.svc", "${local.id}.${local.namespace}", "localhost"]
}

resource "strata_manifest" "data" {
  kubeconfig = var.kubeconfig
  protected  = var.protected

  manifest = {
    apiVersion = "v1"
    kind       = "PersistentVolumeClaim"
    metadata   = { name = local.id, namespace = local.namespace, labels = local.labels }
    spec = {
      accessModes = ["ReadWriteOnce"]
      # A volume is a folder of this machine and has its whole disk.
      resources = { requests = { storage = "1Gi" } }
    }
  }
}

resource "strata_manifest" "service" {
  kubeconfig = var.kubeconfig

  manifest = {
    apiVersion = "v1"
    kind       = "Service"
    metadata   = { name = local.id, namespace = local.namespace, labels = local.labels }
    spec = {
      selector = { "app.kubernetes.io/name" = local.id }
      ports = [
        { name = "amqps", port = local.port, targetPort = "amqps" },
        { name = "metrics", port = local.metrics, targetPort = "metrics" },
      ]
    }
  }
}

# Workloads of teams may connect, and their own policies say which of them. The control
# plane reads how long queues are, for autoscalers.
resource "strata_manifest" "policy" {
  kubeconfig = var.kubeconfig

  manifest = {
    apiVersion = "networking.k8s.io/v1"
    kind       = "NetworkPolicy"
    metadata   = { name = local.id, namespace = local.namespace, labels = local.labels }
    spec = {
      podSelector = { matchLabels = { "app.kubernetes.io/name" = local.id } }
      policyTypes = ["Ingress", "Egress"]
      ingress = [
        {
          from  = [{ namespaceSelector = { matchExpressions = [{ key = "strata.dev/team", operator = "Exists" }] } }]
          ports = [{ port = local.port, protocol = "TCP" }]
        },
        {
          from = [{
            namespaceSelector = { matchLabels = { "kubernetes.io/metadata.name" = "strata-system" } }
            podSelector       = { matchLabels = { "app.kubernetes.io/name" = "strata-control" } }
          }]
          ports = [{ port = local.metrics, protocol = "TCP" }]
        },
      ]
    }
  }
}

resource "strata_manifest" "server" {
  kubeconfig = var.kubeconfig

  manifest = {
    apiVersion = "apps/v1"
    kind       = "StatefulSet"
    metadata   = { name = local.id, namespace = local.namespace, labels = local.labels }
    spec = {
      replicas    = 1
      serviceName = local.id
      selector    = { matchLabels = { "app.kubernetes.io/name" = local.id } }
      template = {
        metadata = { labels = local.labels }
        spec = {
          automountServiceAccountToken  = false
          enableServiceLinks            = false
          terminationGracePeriodSeconds = 30
          securityContext = {
            runAsNonRoot        = true
            runAsUser           = 65532
            runAsGroup          = 65532
            fsGroup             = 65532
            fsGroupChangePolicy = "OnRootMismatch"
            seccompProfile      = { type = "RuntimeDefault" }
          }
          containers = [{
            name            = "server"
            image           = data.strata_image.this.ref
            imagePullPolicy = "IfNotPresent"
            ports = [
              { name = "amqps", containerPort = local.port },
              { name = "metrics", containerPort = local.metrics },
            ]
            env = [
              { name = "STRATA_USERNAME", value = local.username },
              { name = "STRATA_DATABASE", value = local.vhost },
              { name = "STRATA_QUEUES", value = join(",", sort(var.queues)) },
              { name = "STRATA_MEMORY", valueFrom = { resourceFieldRef = { containerName = "server", resource = "limits.memory" } } },
            ]
            resources = {
              requests = { cpu = "10m", memory = "128Mi" }
              limits   = { memory = local.memory }
            }
            startupProbe   = { exec = { command = local.probe }, periodSeconds = 1, failureThreshold = 120, timeoutSeconds = 5 }
            readinessProbe = { exec = { command = local.probe }, periodSeconds = 5, timeoutSeconds = 5 }
            livenessProbe  = { exec = { command = local.probe }, periodSeconds = 20, failureThreshold = 6, timeoutSeconds = 5 }
            securityContext = {
              allowPrivilegeEscalation = false
              readOnlyRootFilesystem   = true
              capabilities             = { drop = ["ALL"] }
            }
            volumeMounts = [
              { name = "secrets", mountPath = "/etc/strata/secrets", readOnly = true },
              { name = "tls", mountPath = "/etc/strata/tls", readOnly = true },
              { name = "data", mountPath = "/var/lib/strata" },
              { name = "run", mountPath = "/run/strata" },
              { name = "tmp", mountPath = "/tmp" },
            ]
          }]
          volumes = [
            { name = "secrets", secret = { secretName = local.id, defaultMode = 288 } },
            { name = "tls", secret = { secretName = "${local.id}-tls", defaultMode = 288 } },
            { name = "data", persistentVolumeClaim = { claimName = local.id } },
            { name = "run", emptyDir = { medium = "Memory", sizeLimit = "16Mi" } },
            { name = "tmp", emptyDir = { sizeLimit = "64Mi" } },
          ]
        }
      }
    }
  }

  depends_on = [strata_certificate.this, strata_secret_copy.this, strata_manifest.policy, strata_manifest.service, strata_manifest.data]
}
