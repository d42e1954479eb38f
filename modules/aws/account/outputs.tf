output "account_id" {
  description = "Id of the account."
  value       = aws_organizations_account.this.id
}

output "deployer_role" {
  description = "ARN of the role that Strata assumes in the account."
  value       = "arn:${data.aws_partition.current.partition}:iam::${aws_organizations_account.this.id}:role/${local.deployer}"
}
