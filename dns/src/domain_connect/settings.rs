//! [`Settings`]: what a provider tells of itself, read as a stranger's word.
//!
//! Fields that are not known are passed over. What cannot be used counts as missing, and without the two addresses that
//! the flow needs there is no flow.

use serde_json::Value;
use url::{Host, Url};

use super::{
    Why,
    limits::{MAX_NAME, MAX_PLACE, MAX_URL},
};

/// A window's width and height where the provider names none.
const WINDOW: u32 = 750;
/// What a window may be asked to be.
const WINDOWS: std::ops::RangeInclusive<u64> = 200..=4096;

/// A provider's settings for one zone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Its id, usually a domain.
    pub provider_id: String,
    /// Its name for people, one line.
    pub provider_name: String,
    /// Where the customer's browser goes; an `https` address.
    pub page: Url,
    /// Where we ask; an `https` address.
    pub api: Url,
    /// Where the customer edits records by hand.
    pub control_panel: Option<Url>,
    /// The wanted width of the window, in pixels.
    pub width: u32,
    /// Its height.
    pub height: u32,
}

impl Settings {
    /// Reads them for `zone`. `strict` keeps to the usual port, as on the Internet.
    pub(super) fn read(body: &[u8], zone: &str, strict: bool) -> Result<Self, Why> {
        let value: Value = serde_json::from_slice(body).map_err(|_| Why::BadSettings)?;
        let text = |key: &str| value.get(key).and_then(Value::as_str).filter(|text| text.len() <= MAX_URL);
        let provider_id = text("providerId").and_then(line).ok_or(Why::BadSettings)?;
        let name = text("providerDisplayName").and_then(line).or_else(|| text("providerName").and_then(line));
        let api = text("urlAPI").and_then(|text| prefix(text, strict)).ok_or(Why::BadSettings)?;
        let page = match text("urlSyncUX").map(str::trim) {
            None | Some("") => return Err(Why::NoPage),
            Some(text) => prefix(text, strict).ok_or(Why::BadSettings)?,
        };
        let control_panel = text("urlControlPanel").map(|text| text.replace("%domain%", zone));
        let control_panel =
            control_panel.and_then(|text| Url::parse(text.trim()).ok()).filter(|url| is_web(url, false));
        let size = |key: &str| {
            let wanted = value.get(key).and_then(Value::as_u64).filter(|pixels| WINDOWS.contains(pixels));
            wanted.and_then(|pixels| u32::try_from(pixels).ok()).unwrap_or(WINDOW)
        };
        Ok(Self {
            provider_name: name.unwrap_or_else(|| provider_id.clone()),
            provider_id,
            page,
            api,
            control_panel,
            width: size("width"),
            height: size("height"),
        })
    }
}

/// What the record at `_domainconnect` leads to: a host and perhaps a path, without a scheme.
pub(super) fn place(record: &str, strict: bool) -> Option<Url> {
    let record = record.trim();
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | '~' | '/' | ':');
    if record.is_empty() || record.len() > MAX_PLACE || !record.chars().all(is_plain) || record.contains("//") {
        return None;
    }
    prefix(&format!("https://{record}"), strict)
}

/// An address that others are made from by adding to its path.
fn prefix(text: &str, strict: bool) -> Option<Url> {
    let url = Url::parse(text.trim()).ok()?;
    (is_web(&url, strict) && url.query().is_none()).then_some(url)
}

/// `https`, a name and nobody's password. Where we go ourselves, no other port either: nobody scans with us.
fn is_web(url: &Url, strict: bool) -> bool {
    url.scheme() == "https"
        && matches!(url.host(), Some(Host::Domain(name)) if name.contains('.'))
        && url.username().is_empty()
        && url.password().is_none()
        && url.fragment().is_none()
        && (!strict || url.port().is_none())
}

/// One line of bounded length; `None` when nothing is left.
fn line(text: &str) -> Option<String> {
    let line: String = text.chars().filter(|c| !c.is_control()).take(MAX_NAME).collect();
    Some(line.trim().to_owned()).filter(|line| !line.is_empty())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Result<Settings, Why> {
        Settings::read(text.as_bytes(), "customer.com", true)
    }

    fn with(key: &str, value: &str) -> String {
        let mut all = serde_json::json!({
            "providerId": "virtucon.example", "providerName": "Virtucon", "urlAPI": "https://api.virtucon.example",
            "urlSyncUX": "https://virtucon.example/connect/",
        });
        all[key] = serde_json::from_str(value).unwrap();
        all.to_string()
    }

    #[test]
    fn settings_of_the_specification_are_read() {
        let settings = read(
            r#"{"providerId": "virtucondomains.example", "providerName": "Virtucon Domains",
                "providerDisplayName": "Virtucon", "urlSyncUX": "https://domainconnect.virtucondomains.example",
                "urlAsyncUX": "https://domainconnect.virtucondomains.example",
                "urlAPI": "https://api.domainconnect.virtucondomains.example", "width": 800, "height": 600,
                "urlControlPanel": "https://panel.virtucondomains.example/?domain=%domain%",
                "nameServers": ["ns01.virtucondomainsdns.example"], "somethingNew": {"a": 1}}"#,
        )
        .unwrap();
        assert_eq!((settings.provider_name.as_str(), settings.width, settings.height), ("Virtucon", 800, 600));
        assert_eq!(settings.page.as_str(), "https://domainconnect.virtucondomains.example/");
        let panel = settings.control_panel.unwrap();
        assert_eq!(panel.as_str(), "https://panel.virtucondomains.example/?domain=customer.com");
    }

    #[test]
    fn a_page_that_is_no_web_page_is_no_page() {
        for page in [
            "\"javascript:alert(1)\"",
            "\"data:text/html,x\"",
            "\"http://virtucon.example\"",
            "\"https://127.0.0.1/\"",
            "\"https://user:pass@virtucon.example\"",
            "\"https://virtucon.example/?a=\"",
            "\"https://virtucon.example/#a\"",
            "\"//virtucon.example\"",
            "\"file:///etc/passwd\"",
            "\"https://localhost\"",
            "\"https://virtucon.example:8443\"",
        ] {
            assert_eq!(read(&with("urlSyncUX", page)), Err(Why::BadSettings), "{page}");
        }
        for page in ["null", "\"\"", "7"] {
            assert_eq!(read(&with("urlSyncUX", page)), Err(Why::NoPage), "{page}");
        }
        assert!(read(&with("urlControlPanel", "\"javascript:alert(1)\"")).unwrap().control_panel.is_none());
    }

    #[test]
    fn what_is_no_settings_is_refused() {
        for text in ["", "[]", "null", "{}", "<html>", "{\"providerId\": 1}", &with("urlAPI", "\"ftp://a.example\"")] {
            assert_eq!(read(text), Err(Why::BadSettings), "{text}");
        }
        let named = |name: &str| read(&with("providerName", name)).unwrap().provider_name;
        assert_eq!(named("\"a\\u0000b\\n\""), "ab");
        assert_eq!(named("3"), "virtucon.example");
        assert_eq!(named(&format!("\"{}\"", "x".repeat(1000))).len(), MAX_NAME);
        assert_eq!(read(&with("width", "99999999999")).unwrap().width, WINDOW);
        assert_eq!(read(&with("width", "\"wide\"")).unwrap().width, WINDOW);
    }

    #[test]
    fn a_record_names_a_host_and_perhaps_a_path() {
        let at = |record: &str| place(record, true).map(|url| url.to_string());
        assert_eq!(at("domainconnect.virtucon.example").as_deref(), Some("https://domainconnect.virtucon.example/"));
        assert_eq!(at(" api.virtucon.example/v4/dns ").as_deref(), Some("https://api.virtucon.example/v4/dns"));
        let long = format!("{}.example", "a".repeat(MAX_PLACE));
        for record in [
            "",
            "http://a.example",
            "https://a.example",
            "a.example@b.example",
            "127.0.0.1",
            "[::1]",
            "2130706433",
            "localhost",
            "a.example:22",
            "a.example?x=",
            "a.example#x",
            "a.example\\@b.example",
            "a b.example",
            "ä.example",
            &long,
        ] {
            assert_eq!(at(record), None, "{record}");
        }
        assert!(place("a.example:8443", false).is_some());
    }

    fn leads_out(url: &Url, strict: bool) -> bool {
        let port = if strict { url.port().is_none() } else { true };
        url.scheme() == "https" && url.domain().is_some() && url.username().is_empty() && port
    }

    proptest! {
        #[test]
        fn no_text_becomes_an_address_that_is_no_web_page(
            text in "\\PC{0,80}",
            start in prop::sample::select(vec!["", "https://", "https:", "//", "http://", "https://a.example", "javascript:"]),
            strict: bool,
        ) {
            if let Some(url) = place(&text, strict) {
                prop_assert!(leads_out(&url, strict), "{url}");
            }
            let page = format!("{start}{text}");
            let all = serde_json::json!({
                "providerId": text, "providerName": text, "urlAPI": page, "urlSyncUX": page, "urlControlPanel": page,
            });
            if let Ok(settings) = Settings::read(all.to_string().as_bytes(), "customer.com", strict) {
                prop_assert!(leads_out(&settings.page, strict) && leads_out(&settings.api, strict), "{settings:?}");
                prop_assert!(settings.control_panel.is_none_or(|url| leads_out(&url, false)));
                prop_assert!(settings.provider_name.chars().count() <= MAX_NAME);
            }
        }
    }
}
