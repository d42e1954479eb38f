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
  description = "Deletion protection; what is left behind when that is off is deleted too."
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
  description = "Subnets to run in, one a zone."
  type        = list(string)
  nullable    = false

  validation {
    condition     = length(var.subnet_ids) > 0 && alltrue([for s in var.subnet_ids : can(regex("^subnet-[0-9a-f]+$", s))])
    error_message = "The subnets must be ids such as subnet-0123456789abcdef0, one at least."
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
  description = "ARN of the key that encrypts data and secrets."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/.+$", var.kms_key))
    error_message = "The key must be the ARN of a KMS key, not of an alias."
  }
}

variable "secret_path" {
  description = "Path below which the unit's secrets are kept in Secrets Manager."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[A-Za-z0-9/_.-]{1,400}$", var.secret_path))
    error_message = "The path must be letters, digits and / _ . -, at most 400."
  }
}

variable "size" {
  description = "Compute and memory of each broker: small (2 vCPU, 4 GiB), medium (2, 8), large (4, 16), xlarge (8, 32)."
  type        = string
  default     = "small"
  nullable    = false

  validation {
    condition     = contains(["small", "medium", "large", "xlarge"], var.size)
    error_message = "The size must be small, medium, large or xlarge."
  }
}

variable "high_availability" {
  description = "Three brokers in three zones instead of one. Without a word it follows protected."
  type        = bool
  default     = null
}

variable "maintenance_window" {
  description = "Weekly hour in which AWS may patch it, in UTC, such as \"Sun 03:00\"."
  type        = string
  default     = "Sun 03:00"
  nullable    = false

  validation {
    condition     = can(regex("^(Mon|Tue|Wed|Thu|Fri|Sat|Sun) ([01][0-9]|2[0-3]):[0-5][0-9]$", var.maintenance_window))
    error_message = "The window must be a day and a time such as \"Sun 03:00\"."
  }
}

variable "queues" {
  description = "Durable queues that workloads use. Amazon MQ has no call that declares queues, so programs declare them; the names are kept as the description of the broker's stack."
  type        = set(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for q in var.queues : can(regex("^[A-Za-z0-9_.:-]{1,127}$", q))])
    error_message = "Names of queues are letters, digits and _ . : -."
  }
}
