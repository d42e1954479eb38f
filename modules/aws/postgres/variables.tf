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

variable "postgres_version" {
  description = "Major version of PostgreSQL."
  type        = string
  default     = "17"
  nullable    = false

  validation {
    condition     = contains(["14", "15", "16", "17"], var.postgres_version)
    error_message = "The version must be one of 14, 15, 16 and 17."
  }
}

variable "size" {
  description = "Compute and memory of the server: small (2 vCPU, 2 GiB, burstable), medium (2, 8), large (4, 32), xlarge (16, 128)."
  type        = string
  default     = "small"
  nullable    = false

  validation {
    condition     = contains(["small", "medium", "large", "xlarge"], var.size)
    error_message = "The size must be small, medium, large or xlarge."
  }
}

variable "storage" {
  description = "Disk space. It may grow later, never shrink."
  type        = string
  default     = "20Gi"
  nullable    = false

  validation {
    condition     = var.storage == null || can(regex("^[1-9][0-9]*(Gi|Ti)$", var.storage))
    error_message = "Space must be an amount such as 20Gi or 2Ti."
  }
}

variable "max_storage" {
  description = "Disk space up to which the disk grows by itself; null means that it does not."
  type        = string
  default     = null

  validation {
    condition     = var.max_storage == null || can(regex("^[1-9][0-9]*(Gi|Ti)$", var.max_storage))
    error_message = "Space must be an amount such as 20Gi or 2Ti."
  }
}

variable "high_availability" {
  description = "A standby in another zone takes over when the server fails. Without a word it follows protected."
  type        = bool
  default     = null
}

variable "backup_days" {
  description = "Days that backups are kept; 0 switches them off."
  type        = number
  default     = 7
  nullable    = false

  validation {
    condition     = var.backup_days >= 0 && var.backup_days <= 35 && floor(var.backup_days) == var.backup_days
    error_message = "Backups are kept for 0 to 35 days."
  }
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

variable "settings" {
  description = "Server settings by name. The module's secure settings win over them."
  type        = map(string)
  default     = {}
  nullable    = false

  validation {
    condition     = alltrue([for k in keys(var.settings) : can(regex("^[a-z][a-z0-9_.]*$", k))])
    error_message = "Names of settings are lower-case letters, digits, _ and dots."
  }
}

variable "extensions" {
  description = "Extensions that the database may create."
  type        = set(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for e in var.extensions : can(regex("^[a-z][a-z0-9_-]*$", e))])
    error_message = "Names of extensions are lower-case letters, digits, _ and hyphens."
  }
}
