//! The words of the core: closed sets that are kept as text.

/// A closed set of words with one spelling in the database and in JSON.
macro_rules! words {
    ($(#[$meta:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        pub enum $name {
            $($(#[$doc])* #[serde(rename = $word)] $variant,)+
        }

        impl $name {
            /// Every one of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The word.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)+ }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl std::str::FromStr for $name {
            type Err = crate::core::words::UnknownWord;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Self::ALL.iter().copied().find(|word| word.as_str() == text).ok_or(crate::core::words::UnknownWord)
            }
        }

        impl From<$name> for crate::db::Arg {
            fn from(word: $name) -> Self {
                Self::from(word.as_str())
            }
        }

        impl<DB: sqlx::Database> sqlx::Type<DB> for $name where String: sqlx::Type<DB> {
            fn type_info() -> DB::TypeInfo {
                <String as sqlx::Type<DB>>::type_info()
            }

            fn compatible(info: &DB::TypeInfo) -> bool {
                <String as sqlx::Type<DB>>::compatible(info)
            }
        }

        impl<'r, DB: sqlx::Database> sqlx::Decode<'r, DB> for $name where String: sqlx::Decode<'r, DB> {
            fn decode(value: DB::ValueRef<'r>) -> Result<Self, sqlx::error::BoxDynError> {
                let text = <String as sqlx::Decode<'r, DB>>::decode(value)?;
                Ok(text.parse()?)
            }
        }
    };
}

pub(crate) use words;

/// The text is none of the words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not one of the words of its kind")]
pub struct UnknownWord;

words! {
    /// Test and live data never meet: a key of one does not see the other.
    Environment {
        /// For trying.
        Test = "test",
        /// For customers.
        Live = "live",
    }
}

words! {
    /// An API dialect.
    Surface {
        /// Connect Domain, `/v1`.
        ConnectDomain = "connect_domain",
    }
}

words! {
    /// Where a hostname stands in its zone.
    Kind {
        /// It is the registrable domain: no CNAME can stand there.
        Apex = "apex",
        /// It is below one.
        Subdomain = "subdomain",
    }
}

words! {
    /// Who writes the records.
    SetupType {
        /// We do, with a stored credential.
        Automatic = "automatic",
        /// The customer does.
        Manual = "manual",
    }
}

words! {
    /// How ownership was shown, the weakest first.
    ProofKind {
        /// The name points where names of many tenants point.
        SharedTarget = "shared_target",
        /// The name points at a target that is this claim's alone.
        UniqueTarget = "unique_target",
        /// The challenge stands in its zone, and we put it there with a credential that somebody gave us once.
        Credential = "credential",
        /// It was bought through us.
        Registrar = "registrar",
        /// The challenge stands in its zone, put there by hand.
        Txt = "txt",
    }
}

impl ProofKind {
    /// Whether it shows that the zone's owner wants it now, and not only where an old record leads.
    pub fn is_of_the_zone(self) -> bool {
        matches!(self, Self::Credential | Self::Txt)
    }
}

words! {
    /// Facet: whose the hostname is.
    Ownership {
        /// Nothing was shown yet.
        Unproven = "unproven",
        /// Some name servers show the proof, not all.
        Seen = "seen",
        /// Shown.
        Proven = "proven",
    }
}

words! {
    /// Facet: where the hostname points.
    Routing {
        /// Not looked at yet.
        Unknown = "unknown",
        /// It has no address.
        NotResolving = "not_resolving",
        /// It points elsewhere, or some of its records do.
        Wrong = "wrong",
        /// It points here.
        Pointing = "pointing",
    }
}

words! {
    /// Facet: what the last preflight found that could tell.
    Preflight {
        /// None was made yet.
        Unknown = "unknown",
        /// No record is in the way of a certificate.
        Clear = "clear",
        /// A record is: it has to be changed first.
        Blocked = "blocked",
    }
}

words! {
    /// Facet: our writing of its records.
    DnsWrite {
        /// Not ours to do.
        None = "none",
        /// Under way.
        Writing = "writing",
        /// Written.
        Done = "done",
        /// The provider refused.
        Failed = "failed",
    }
}

words! {
    /// Facet: its certificate, as the edges tell.
    CertificateState {
        /// None was asked for.
        None = "none",
        /// It is being ordered.
        Issuing = "issuing",
        /// There is one.
        Valid = "valid",
        /// The order failed; it is tried again.
        Failed = "failed",
        /// It ended without a successor.
        Expired = "expired",
    }
}

words! {
    /// Facet: whether the claim stands.
    Lifecycle {
        /// It does.
        Active = "active",
        /// It was lost or given up for good.
        Failed = "failed",
        /// It was deleted.
        Archived = "archived",
    }
}

words! {
    /// Facet: the time that its owner has.
    Deadline {
        /// No time is running.
        None = "none",
        /// Time is running.
        Running = "running",
        /// It is over; a check that succeeds revives the claim.
        Passed = "passed",
    }
}
