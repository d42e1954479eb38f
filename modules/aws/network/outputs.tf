output "vpc_id" {
  description = "Id of the network."
  value       = aws_vpc.this.id
}

output "cidr" {
  description = "IPv4 range of the network."
  value       = aws_vpc.this.cidr_block
}

output "zones" {
  description = "Names of the availability zones."
  value       = local.zones
}

output "public_subnet_ids" {
  description = "Subnets with a route to the internet, for load balancers, one a zone."
  value       = aws_subnet.public[*].id
}

output "private_subnet_ids" {
  description = "Subnets of the cluster, one a zone."
  value       = aws_subnet.private[*].id
}

output "data_subnet_ids" {
  description = "Subnets of databases and brokers, one a zone."
  value       = aws_subnet.data[*].id
}
