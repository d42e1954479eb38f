provider "aws" {
  region = "eu-west-1"

  default_tags {
    tags = { platform = "acme", environment = "prod" }
  }
}

module "redis" {
  source = "../.."

  name                      = "acme-prod-storefront-cache"
  vpc_id                    = "vpc-0123456789abcdef0"
  subnet_ids                = ["subnet-0123456789abcdef0", "subnet-0123456789abcdef1", "subnet-0123456789abcdef2"]
  allowed_security_group_id = "sg-0123456789abcdef0"
  kms_key                   = "arn:aws:kms:eu-west-1:111122223333:key/6754af96-32a2-445e-a5c2-93e5aac08633"
  secret_path               = "acme/prod/storefront/cache"
}

output "host" {
  value = module.redis.host
}
