provider "aws" {
  region = "eu-west-1"
}

module "secrets" {
  source = "../.."

  name         = "acme-dev-secrets"
  path_prefix  = "acme/dev"
  cluster_name = "acme-dev-cluster"
  protected    = false
}

output "store" {
  description = "aws-secrets-manager:eu-west-1"
  value       = module.secrets.store
}
