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

variable "redis_version" {
  description = "Version of the Redis protocol that the store offers."
  type        = string
  default     = "7.2"
  nullable    = false

  validation {
    condition     = contains(["7.0", "7.2"], var.redis_version)
    error_message = "The version must be one of 7.0 and 7.2."
  }
}

variable "size" {
  description = "Memory of the store: small (1.4 GiB), medium (6.4), large (26), xlarge (105)."
  type        = string
  default     = "small"
  nullable    = false

  validation {
    condition     = contains(["small", "medium", "large", "xlarge"], var.size)
    error_message = "The size must be small, medium, large or xlarge."
  }
}

variable "high_availability" {
  description = "A replica in another zone takes over when the store fails. Without a word it follows protected."
  type        = bool
  default     = null
}

variable "backup_days" {
  description = "Days that backups are kept; 0 switches them off."
  type        = number
  default     = 0
  nullable    = false

  validation {
    condition     = var.backup_days >= 0 && var.backup_days <= 35 && floor(var.backup_days) == var.backup_days
    error_message = "Backups are kept for 0 to 35 days."
  }
}

variable "eviction" {
  description = "What the store drops when memory is full; none refuses writes instead."
  type        = string
  default     = "least-recently-used"
  nullable    = false

  validation {
    condition     = contains(["none", "least-recently-used", "least-frequently-used", "soonest-to-expire"], var.eviction)
    error_message = "Eviction must be none, least-recently-used, least-frequently-used or soonest-to-expire."
  }
}
