//! Why a request is not accepted.

use crate::http::answer::Fault;

macro_rules! refusals {
    ($($(#[doc = $doc:literal])+ $name:ident = $code:literal, $fault:ident;)+) => {
        /// Why the bytes are not a request that the edge accepts. Sections are those of RFC 9112 where none is named.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[repr(u8)]
        pub enum Refusal {
            $($(#[doc = $doc])+ $name,)+
        }

        impl Refusal {
            /// Every refusal, for metrics that exist from the start.
            pub const ALL: &[Self] = &[$(Self::$name),+];

            /// A stable word for logs and metrics.
            pub fn code(self) -> &'static str {
                match self { $(Self::$name => $code,)+ }
            }

            /// What the visitor is told.
            pub fn fault(self) -> Fault {
                match self { $(Self::$name => Fault::$fault,)+ }
            }
        }
    };
}

refusals! {
    /// The authority of an absolute target is malformed, or is another than `Host` (section 3.2.2).
    AuthorityMismatch = "authority_mismatch", BadHost;
    /// The data of a chunk is not followed by CRLF (section 7.1).
    BadChunkEnd = "bad_chunk_end", BadRequest;
    /// A chunk's extension has a byte that cannot stand there (section 7.1.1).
    BadChunkExtension = "bad_chunk_extension", BadRequest;
    /// A chunk's size is not a short hexadecimal number that CRLF or `;` follows (section 7.1).
    BadChunkSize = "bad_chunk_size", BadRequest;
    /// `Content-Length` is not one plain decimal number (RFC 9110 section 8.6).
    BadContentLength = "bad_content_length", BadRequest;
    /// A field name is empty or has a byte that is no token (section 5.1).
    BadFieldName = "bad_field_name", BadRequest;
    /// `Host` is empty, or has bytes of a list, a URL or a user (section 3.2).
    BadHost = "bad_host", BadHost;
    /// The method is no token, or a long one (RFC 9110 section 9.1).
    BadMethod = "bad_method", BadRequest;
    /// The request line has another form than `method target version` with single spaces (section 3).
    BadRequestLine = "bad_request_line", BadRequest;
    /// The target has none of the allowed forms, or a byte that is not allowed (section 3.2).
    BadTarget = "bad_target", BadRequest;
    /// A trailer names a field that frames or routes a message (RFC 9110 section 6.5.1).
    BadTrailer = "bad_trailer", BadRequest;
    /// `Transfer-Encoding` is not exactly `chunked` (section 6.1).
    BadTransferEncoding = "bad_transfer_encoding", BadRequest;
    /// A CR without LF (section 2.2).
    BareCr = "bare_cr", BadRequest;
    /// An LF without CR (section 2.2 allows it, and peers differ about it).
    BareLf = "bare_lf", BadRequest;
    /// All extensions of a body's chunks are larger than the limit.
    ChunkExtensionsTooLarge = "chunk_extensions_too_large", BadRequest;
    /// A tunnel is asked for, which the edge does not open (RFC 9110 section 9.3.6).
    Connect = "connect", MethodNotAllowed;
    /// A NUL or another control byte in a field value (RFC 9110 section 5.5).
    ControlByte = "control_byte", BadRequest;
    /// `Content-Length` came twice, even if with one value.
    DuplicateContentLength = "duplicate_content_length", BadRequest;
    /// `Host` came twice.
    DuplicateHost = "duplicate_host", BadHost;
    /// `Transfer-Encoding` came twice.
    DuplicateTransferEncoding = "duplicate_transfer_encoding", BadRequest;
    /// `Expect` is not exactly `100-continue` (RFC 9110 section 10.1.1).
    Expectation = "expectation", ExpectationFailed;
    /// A field line is folded onto the next (section 5.2).
    FoldedField = "folded_field", BadRequest;
    /// The head did not arrive within the limit of time.
    HeadTimeout = "head_timeout", HeadTimeout;
    /// The head is larger than the limit.
    HeadTooLarge = "head_too_large", HeadTooLarge;
    /// Both `Content-Length` and `Transfer-Encoding` (section 6.1).
    LengthAndEncoding = "length_and_encoding", BadRequest;
    /// A field name that frames or routes a message, with `_` for `-`: servers behind a gateway read both as one.
    LookalikeField = "lookalike_field", BadRequest;
    /// No `Host`. HTTP/1.0 has none, but nothing can be served without a name.
    MissingHost = "missing_host", BadHost;
    /// White space between a field name and its colon (section 5.1).
    SpaceBeforeColon = "space_before_colon", BadRequest;
    /// The target is longer than the limit.
    TargetTooLong = "target_too_long", TargetTooLong;
    /// There are more fields than the limit.
    TooManyFields = "too_many_fields", HeadTooLarge;
    /// `Transfer-Encoding` on HTTP/1.0, which does not know it (section 6.1).
    TransferEncodingOnHttp10 = "transfer_encoding_on_http_1_0", BadRequest;
    /// A WebSocket handshake with a body: what follows it could be read in two ways.
    UpgradeWithBody = "upgrade_with_body", BadRequest;
    /// Neither HTTP/1.1 nor HTTP/1.0.
    Version = "version", VersionNotSupported;
}

impl Refusal {
    /// The refusal that [`as_byte`](Self::as_byte) made this of.
    pub(crate) fn from_byte(byte: u8) -> Option<Self> {
        Self::ALL.iter().copied().find(|refusal| refusal.as_byte() == byte)
    }

    /// A number above zero, for an atomic.
    pub(crate) fn as_byte(self) -> u8 {
        self as u8 + 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique_and_statuses_are_errors() {
        let mut codes: Vec<_> = Refusal::ALL.iter().map(|refusal| refusal.code()).collect();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), Refusal::ALL.len());
        for refusal in Refusal::ALL {
            assert!(refusal.fault().status().as_u16() >= 400, "{refusal:?}");
            assert_eq!(Refusal::from_byte(refusal.as_byte()), Some(*refusal));
        }
        assert_eq!(Refusal::from_byte(0), None);
    }
}
