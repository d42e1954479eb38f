provider "aws" {
  region = "eu-west-1"
}

module "state" {
  source = "../.."

  name      = "acme-prod-state"
  region    = "eu-west-1"
  protected = true
  bucket    = "acme-prod-state"
}

output "kms_key" {
  description = "What to write into the environment's state block as kmsKey."
  value       = module.state.kms_key
}
