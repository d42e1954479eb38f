provider "aws" {
  region = "eu-west-1"

  default_tags {
    tags = { platform = "acme", environment = "prod" }
  }
}

module "kafka_topic" {
  source = "../.."

  name              = "acme-prod-fulfilment-shipments"
  cluster_arn       = "arn:aws:kafka:eu-west-1:111122223333:cluster/acme-prod-kafka"
  bootstrap_servers = "b-1.acme-prod-kafka.example.amazonaws.com:9096,b-2.acme-prod-kafka.example.amazonaws.com:9096"
  kms_key           = "arn:aws:kms:eu-west-1:111122223333:key/6754af96-32a2-445e-a5c2-93e5aac08633"
  secret_path       = "acme/prod/fulfilment/shipments"
}

output "topic" {
  value = module.kafka_topic.topic
}
