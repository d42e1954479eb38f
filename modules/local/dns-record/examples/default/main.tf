terraform {
  required_providers {
    strata = { source = "stratahq/strata" }
  }
}

provider "strata" {
  platform    = "acme"
  environment = "local"
}

module "dns_record" {
  source = "../.."

  name       = "tools"
  zone_name  = "acme.localhost"
  kubeconfig = "/var/lib/strata/acme-local/kubeconfig"
}

output "host" {
  value = module.dns_record.host
}
