provider "aws" {
  region = "eu-west-1"

  default_tags {
    tags = { platform = "acme", environment = "prod" }
  }
}

module "state" {
  source = "../.."

  name   = "acme-prod-state"
  region = "eu-west-1"
  bucket = "acme-prod-state"
}

output "kms_key" {
  value = module.state.kms_key
}
