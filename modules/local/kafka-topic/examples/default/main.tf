terraform {
  required_providers {
    strata = { source = "stratahq/strata" }
  }
}

provider "strata" {
  platform    = "acme"
  environment = "local"
}

module "kafka_topic" {
  source = "../.."

  name         = "acme-local-orders-stream"
  kubeconfig   = "/var/lib/strata/acme-local/kubeconfig"
  secret_store = "kubernetes:strata-secrets"
  secret_path  = "acme/local/orders/stream"
}

output "host" {
  value = module.kafka_topic.host
}
