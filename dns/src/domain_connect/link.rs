//! [`apply_url`]: where the customer says yes.

use url::{Url, form_urlencoded};

use super::{Service, Settings, SigningKey};

/// Everything that the address says.
#[derive(Debug, Clone)]
pub struct Apply<'a> {
    /// Which template.
    pub service: &'a Service,
    /// The zone.
    pub zone: &'a str,
    /// What stands before it; empty for the zone itself.
    pub host: &'a str,
    /// The template's variables.
    pub variables: &'a [(&'static str, String)],
    /// Where the browser comes back to.
    pub redirect_uri: &'a Url,
    /// What it brings back.
    pub state: &'a str,
    /// The label of the public key's records.
    pub key_host: &'a str,
}

/// The signed address. The signature is over everything behind the question mark but `key` and `sig`, as it is encoded
/// there, which is why these two come last. `None` when the library refuses to sign, or the page takes no path.
pub fn apply_url(settings: &Settings, apply: &Apply<'_>, key: &SigningKey) -> Option<Url> {
    let mut url = apply.service.within(&settings.page)?;
    url.path_segments_mut().ok()?.push("apply");
    let query = query(apply);
    let signature = key.sign(&query)?;
    let ours = form_urlencoded::Serializer::new(String::new())
        .append_pair("key", apply.key_host)
        .append_pair("sig", &signature)
        .finish();
    url.set_query(Some(&format!("{query}&{ours}")));
    Some(url)
}

/// The pairs in the order of their names: the same for everybody who makes them anew.
fn query(apply: &Apply<'_>) -> String {
    let mut pairs = vec![
        ("domain", apply.zone),
        ("host", apply.host),
        ("redirect_uri", apply.redirect_uri.as_str()),
        ("state", apply.state),
    ];
    pairs.extend(apply.variables.iter().map(|(name, value)| (*name, value.as_str())));
    pairs.sort_unstable();
    form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_keeps_the_pages_own_path_and_ends_with_the_signature() {
        let settings = Settings {
            provider_id: "p".into(),
            provider_name: "P".into(),
            page: "https://virtucon.example/connect/".parse().unwrap(),
            api: "https://api.virtucon.example/".parse().unwrap(),
            control_panel: None,
            width: 1,
            height: 1,
        };
        let key = SigningKey::from_pem(&SigningKey::generate().unwrap()).unwrap();
        let service = Service { provider_id: "saas.example".into(), service_id: "hostname".into() };
        let back = "https://saas.example/v1/domain-connect/callback".parse().unwrap();
        let variables = [("target", "edge.saas.example".to_owned())];
        let apply = Apply {
            service: &service,
            zone: "customer.com",
            host: "shop",
            variables: &variables,
            redirect_uri: &back,
            state: "s",
            key_host: "_dck1",
        };
        let url = apply_url(&settings, &apply, &key).unwrap().to_string();
        let start = "https://virtucon.example/connect/v2/domainTemplates/providers/saas.example/services/hostname/apply\
                     ?domain=customer.com&host=shop\
                     &redirect_uri=https%3A%2F%2Fsaas.example%2Fv1%2Fdomain-connect%2Fcallback&state=s\
                     &target=edge.saas.example&key=_dck1&sig=";
        assert!(url.starts_with(start), "{url}");
    }
}
