# Every local module, and a workload that uses what they make. The test puts the folder
# of the modules in for MODULES.

terraform {
  required_providers {
    strata = { source = "stratahq/strata" }
  }
}

provider "strata" {
  platform    = "acme"
  environment = "test"
  labels      = { unit = "workloads/everything" }
}

# What there is besides the cluster: nothing, services, or services and a workload.
variable "services" {
  type = bool
}

variable "protected" {
  type    = bool
  default = false
}

# What the workload does, by the namespace that it does it in: write, read or closed.
variable "pods" {
  type    = map(string)
  default = {}
}

variable "image" {
  type    = string
  default = ""
}

module "cluster" {
  source = "MODULES/cluster"

  platform    = "acme"
  environment = "test"
  protected   = false
}

module "secrets" {
  source = "MODULES/secrets"
  count  = var.services ? 1 : 0

  name        = "acme-test-secrets"
  path_prefix = "acme/test"
  kubeconfig  = module.cluster.kubeconfig
}

# Units wait for each other; within one root only what refers to something waits for it.
locals {
  kubeconfig = one([for s in module.secrets : s.store == "" ? null : module.cluster.kubeconfig])
}

module "postgres" {
  source = "MODULES/postgres"
  count  = var.services ? 1 : 0

  name         = "acme-test-db"
  kubeconfig   = local.kubeconfig
  secret_store = module.secrets[0].store
  secret_path  = "acme/test/db"
  protected    = var.protected
  extensions   = ["pgcrypto"]
  settings     = { log_min_duration_statement = "250" }
}

module "mysql" {
  source = "MODULES/mysql"
  count  = var.services ? 1 : 0

  name         = "acme-test-loyalty"
  kubeconfig   = local.kubeconfig
  secret_store = module.secrets[0].store
  secret_path  = "acme/test/loyalty"
  protected    = false
}

module "redis" {
  source = "MODULES/redis"
  count  = var.services ? 1 : 0

  name         = "acme-test-cache"
  kubeconfig   = local.kubeconfig
  secret_store = module.secrets[0].store
  secret_path  = "acme/test/cache"
  protected    = false
}

module "amqp" {
  source = "MODULES/amqp"
  count  = var.services ? 1 : 0

  name         = "acme-test-events"
  kubeconfig   = local.kubeconfig
  secret_store = module.secrets[0].store
  secret_path  = "acme/test/events"
  protected    = false
  queues       = ["orders"]
}

module "s3" {
  source = "MODULES/s3"
  count  = var.services ? 1 : 0

  name         = "acme-test-images"
  kubeconfig   = local.kubeconfig
  secret_store = module.secrets[0].store
  secret_path  = "acme/test/images"
  protected    = false
}

module "topic" {
  source = "MODULES/kafka-topic"
  count  = var.services ? 1 : 0

  name         = "acme-test-stream"
  kubeconfig   = local.kubeconfig
  secret_store = module.secrets[0].store
  secret_path  = "acme/test/stream"
  protected    = false
  partitions   = 1
}

locals {
  outputs = !var.services ? {} : {
    POSTGRES = { HOST = module.postgres[0].host, PORT = module.postgres[0].port, NAME = module.postgres[0].name, USERNAME = module.postgres[0].username }
    MYSQL    = { HOST = module.mysql[0].host, PORT = module.mysql[0].port, NAME = module.mysql[0].name, USERNAME = module.mysql[0].username }
    REDIS    = { HOST = module.redis[0].host, PORT = module.redis[0].port, USERNAME = module.redis[0].username }
    AMQP     = { HOST = module.amqp[0].host, PORT = module.amqp[0].port, VHOST = module.amqp[0].vhost, USERNAME = module.amqp[0].username }
    S3       = { ENDPOINT = module.s3[0].endpoint, REGION = module.s3[0].region, BUCKET = module.s3[0].bucket, ACCESS_KEY_ID = module.s3[0].access_key_id }
    KAFKA    = { HOST = module.topic[0].host, PORT = module.topic[0].port, BOOTSTRAP_SERVERS = module.topic[0].bootstrap_servers, TOPIC = module.topic[0].topic, USERNAME = module.topic[0].username }
  }
  secrets = !var.services ? {} : {
    postgres = module.postgres[0].password
    mysql    = module.mysql[0].password
    redis    = module.redis[0].password
    amqp     = module.amqp[0].password
    s3       = module.s3[0].secret_key
    kafka    = module.topic[0].password
  }
}

# One namespace is a team's, the other nobody's.
resource "strata_manifest" "namespace" {
  for_each   = var.services ? { shop = { "strata.dev/team" = "shop" }, other = {} } : {}
  kubeconfig = module.cluster.kubeconfig

  manifest = {
    apiVersion = "v1"
    kind       = "Namespace"
    metadata   = { name = each.key, labels = each.value }
  }
}

resource "strata_secret_copy" "passwords" {
  for_each   = strata_manifest.namespace
  kubeconfig = module.cluster.kubeconfig
  store      = module.secrets[0].store
  namespace  = each.key
  name       = "passwords"
  secrets    = local.secrets
  data       = { for k in keys(local.secrets) : k => "{{${k}}}" }
}

resource "strata_manifest" "pod" {
  for_each   = var.pods
  kubeconfig = module.cluster.kubeconfig
  wait       = false

  manifest = {
    apiVersion = "v1"
    kind       = "Pod"
    metadata   = { name = each.value, namespace = each.key }
    spec = {
      restartPolicy                = "Never"
      automountServiceAccountToken = false
      securityContext              = { runAsNonRoot = true, fsGroup = 65532 }
      containers = [{
        name  = "services"
        image = var.image
        args  = [each.value]
        env = concat(
          [{ name = "SSL_CERT_DIR", value = "/etc/strata/trust" }],
          flatten([for service, fields in local.outputs : [for k, v in fields : { name = "${service}_${k}", value = tostring(v) }]]),
        )
        volumeMounts = [{ name = "trust", mountPath = "/etc/strata/trust" }, { name = "passwords", mountPath = "/etc/passwords" }]
      }]
      volumes = [
        { name = "trust", projected = { sources = [{ clusterTrustBundle = { name = "strata-platform-ca", path = "platform-ca.pem" } }] } },
        { name = "passwords", secret = { secretName = "passwords", defaultMode = 288 } },
      ]
    }
  }

  depends_on = [strata_secret_copy.passwords]
}
