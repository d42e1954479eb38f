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

variable "versioning" {
  description = "Keeps what is overwritten or deleted for noncurrent_days."
  type        = bool
  default     = true
  nullable    = false
}

variable "noncurrent_days" {
  description = "Days that overwritten and deleted objects are kept when versioning is on."
  type        = number
  default     = 30
  nullable    = false

  validation {
    condition     = var.noncurrent_days >= 1 && var.noncurrent_days <= 3650
    error_message = "They are kept for 1 to 3650 days."
  }
}

variable "expire_days" {
  description = "Days after which objects are deleted; 0 keeps them."
  type        = number
  default     = 0
  nullable    = false

  validation {
    condition     = var.expire_days >= 0 && var.expire_days <= 3650
    error_message = "Objects are deleted after 1 to 3650 days, or never (0)."
  }
}

variable "cors_origins" {
  description = "Origins of web pages that may read and write with presigned URLs."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for o in var.cors_origins : can(regex("^https?://[A-Za-z0-9.*-]+(:[0-9]+)?$", o))])
    error_message = "Origins are such as https://shop.acme.example."
  }
}
