provider "aws" {
  region = "eu-west-1"

  default_tags {
    tags = { platform = "acme", environment = "prod" }
  }
}

module "s3" {
  source = "../.."

  name        = "acme-prod-reports"
  kms_key     = "arn:aws:kms:eu-west-1:111122223333:key/6754af96-32a2-445e-a5c2-93e5aac08633"
  secret_path = "acme/prod/shared/reports"
}

output "bucket" {
  value = module.s3.bucket
}
