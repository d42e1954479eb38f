variable "name" {
  description = "Name of the unit, and the beginning of the names of what is in it."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,98}[a-z0-9]$", var.name))
    error_message = "The name must be 2 to 100 lower-case letters, digits and hyphens, and begin with a letter."
  }
}

variable "protected" {
  description = "Keeps the logs for a year instead of a month. MSK itself has no deletion protection: the plan that deletes a cluster is what has to be approved."
  type        = bool
  default     = true
  nullable    = false
}

variable "vpc_id" {
  description = "Id of the network."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^vpc-[0-9a-f]+$", var.vpc_id))
    error_message = "The network must be an id such as vpc-0123456789abcdef0."
  }
}

variable "subnet_ids" {
  description = "Subnets to run in, one a zone; the first three are used."
  type        = list(string)
  nullable    = false

  validation {
    condition     = length(var.subnet_ids) >= 2
    error_message = "Amazon MSK needs subnets in at least two zones."
  }
}

variable "allowed_security_group_id" {
  description = "Security group whose members may connect."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^sg-[0-9a-f]+$", var.allowed_security_group_id))
    error_message = "The security group must be an id such as sg-0123456789abcdef0."
  }
}

variable "kms_key" {
  description = "ARN of the key that encrypts disks and logs."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/.+$", var.kms_key))
    error_message = "The key must be the ARN of a KMS key, not of an alias."
  }
}

variable "size" {
  description = "Compute and memory of each broker: small (2 vCPU, 2 GiB, burstable), medium (2, 8), large (4, 16), xlarge (16, 64)."
  type        = string
  default     = "small"
  nullable    = false

  validation {
    condition     = contains(["small", "medium", "large", "xlarge"], var.size)
    error_message = "The size must be small, medium, large or xlarge."
  }
}

variable "storage" {
  description = "Disk space of each broker. It may grow later, never shrink."
  type        = string
  default     = "100Gi"
  nullable    = false

  validation {
    condition     = can(regex("^[1-9][0-9]*(Gi|Ti)$", var.storage))
    error_message = "Space must be an amount such as 20Gi or 2Ti."
  }
}

variable "brokers_per_zone" {
  description = "Brokers in each zone."
  type        = number
  default     = 1
  nullable    = false

  validation {
    condition     = var.brokers_per_zone >= 1 && var.brokers_per_zone <= 10 && floor(var.brokers_per_zone) == var.brokers_per_zone
    error_message = "Each zone has 1 to 10 brokers."
  }
}

variable "kafka_version" {
  description = "Version of Apache Kafka; topics are made by MSK from 3.6 on."
  type        = string
  default     = "3.9.x"
  nullable    = false

  validation {
    condition     = can(regex("^(3\\.([6-9]|[1-9][0-9])\\.[0-9x]+|[4-9]\\.[0-9]+\\.[0-9x]+)(\\.kraft)?$", var.kafka_version))
    error_message = "The version must be one of MSK's from 3.6 on, such as 3.9.x."
  }
}
