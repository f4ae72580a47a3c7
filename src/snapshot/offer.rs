//! Changes that wait for the source's decision, in the stored form.

use minidom::Element;

use crate::address::BareJid;
use crate::engine::{Matter, Offer, Variant, each_kind, with_kinds};
use crate::error::RestoreError;
use crate::wire::{
    Avatar, Field, Form, Hats, Hatted, Listed, Listing, Moderated, Moderation, Ruling, Subject, escaped, ns,
};

use super::{NS, optional_bare, push_attr, push_some, required, wrong};

/// How a kind of ruling is stored: what it is about as an attribute of the offer, what it says as an element of its own.
pub(crate) trait Stored: Variant {
    /// The attribute.
    const ABOUT: &'static str;

    /// What it is about.
    fn about(&self) -> String;

    /// Writes what it says as the rest of the element `name`, whose start tag is open.
    fn write(&self, out: &mut String, name: &str);

    /// Reads what `el` says of what it is about.
    fn read(about: &str, el: &Element) -> Result<Self, RestoreError>;
}

pub(super) fn write(out: &mut String, offer: &Offer) {
    out.push_str("<offer");
    each_kind!(&offer.now, kind => push_about(out, kind));
    push_some(out, "nick", offer.actor_nick.as_deref());
    push_some(out, "actor", offer.actor_jid.as_ref().map(|jid| jid.as_str()));
    push_some(out, "invited", offer.is_invited.then_some("true"));
    push_some(out, "registered", offer.is_registered.then_some("true"));
    out.push('>');
    for (name, ruling) in [("was", &offer.was), ("base", &offer.base), ("now", &offer.now)] {
        out.push_str(&format!("<{name}"));
        each_kind!(ruling, kind => kind.write(out, name));
    }
    out.push_str("</offer>");
}

fn push_about<K: Stored>(out: &mut String, kind: &K) {
    push_attr(out, K::ABOUT, &kind.about());
}

pub(super) fn read(el: &Element) -> Result<(Matter, Offer), RestoreError> {
    let ruling = |name: &str| {
        let said = el.get_child(name, NS);
        read_ruling(el, said.ok_or_else(|| wrong("an offer without a value"))?)
    };
    let actor_jid: Option<BareJid> = optional_bare(el, "actor")?;
    let offer = Offer {
        actor_nick: el.attr("nick").map(str::to_owned),
        actor_jid,
        was: ruling("was")?,
        base: ruling("base")?,
        now: ruling("now")?,
        is_asked: false,
        is_invited: el.attr("invited") == Some("true"),
        is_registered: el.attr("registered") == Some("true"),
    };
    let matter = offer.now.matter();
    Ok((matter.ok_or_else(|| wrong("an offer about nothing"))?, offer))
}

macro_rules! readers {
    ($($kind:ty => $variant:ident),+ $(,)?) => {
        fn read_ruling(offer: &Element, el: &Element) -> Result<Ruling, RestoreError> {
            $(if let Some(about) = offer.attr(<$kind>::ABOUT) {
                return <$kind>::read(about, el).map(Ruling::$variant);
            })+
            Err(wrong("an offer about nothing"))
        }
    };
}
with_kinds!(readers);

impl Stored for Listing {
    const ABOUT: &'static str = "affiliation";

    fn about(&self) -> String {
        self.jid.to_string()
    }

    fn write(&self, out: &mut String, _name: &str) {
        push_attr(out, "affiliation", self.entry.affiliation.as_str());
        push_some(out, "nick", self.entry.nick.as_deref());
        out.push_str("/>");
    }

    fn read(about: &str, el: &Element) -> Result<Listing, RestoreError> {
        let affiliation = required(el, "affiliation")?.parse();
        Ok(Listing {
            jid: BareJid::new(about).map_err(|_| wrong("affiliation is no JID"))?,
            entry: Listed {
                affiliation: affiliation.map_err(|_| wrong("bad affiliation"))?,
                nick: el.attr("nick").map(str::to_owned),
            },
        })
    }
}

impl Stored for Option<Subject> {
    const ABOUT: &'static str = "subject";

    fn about(&self) -> String {
        "true".to_owned()
    }

    fn write(&self, out: &mut String, name: &str) {
        let Some(subject) = self else {
            return out.push_str("/>");
        };
        push_some(out, "nick", subject.nick.as_deref());
        push_attr(out, "stamp", &subject.stamp.to_string());
        out.push_str(&format!(">{}</{name}>", escaped(&subject.text)));
    }

    fn read(_about: &str, el: &Element) -> Result<Option<Subject>, RestoreError> {
        let subject = |stamp: &str| {
            Ok(Subject {
                nick: el.attr("nick").map(str::to_owned),
                stamp: stamp.parse().map_err(|_| wrong("bad stamp"))?,
                text: el.text(),
            })
        };
        el.attr("stamp").map(subject).transpose()
    }
}

/// One field.
impl Stored for Form {
    const ABOUT: &'static str = "field";

    fn about(&self) -> String {
        self.fields
            .first()
            .map_or(String::new(), |field| field.var.clone())
    }

    fn write(&self, out: &mut String, name: &str) {
        out.push('>');
        for value in self.fields.iter().flat_map(|field| &field.values) {
            out.push_str(&format!("<value>{}</value>", escaped(value)));
        }
        out.push_str(&format!("</{name}>"));
    }

    fn read(about: &str, el: &Element) -> Result<Form, RestoreError> {
        let field = Field {
            var: about.to_owned(),
            values: el.children().map(Element::text).collect(),
        };
        Ok(Form { fields: vec![field] })
    }
}

impl Stored for Moderated {
    const ABOUT: &'static str = "message";

    fn about(&self) -> String {
        self.id.clone()
    }

    fn write(&self, out: &mut String, name: &str) {
        let moderation = self.moderation.as_ref().map_or(String::new(), Moderation::to_xml);
        out.push_str(&format!(">{moderation}</{name}>"));
    }

    fn read(about: &str, el: &Element) -> Result<Moderated, RestoreError> {
        let moderation = el.get_child("moderate", ns::OURS).map(Moderation::read);
        Ok(Moderated {
            id: about.to_owned(),
            moderation: moderation.transpose().map_err(|_| wrong("bad moderation"))?,
        })
    }
}

impl Stored for Option<Avatar> {
    const ABOUT: &'static str = "avatar";

    fn about(&self) -> String {
        "true".to_owned()
    }

    fn write(&self, out: &mut String, _name: &str) {
        if let Some(avatar) = self {
            push_attr(out, "hash", &avatar.hash);
            push_attr(out, "bytes", &avatar.bytes.to_string());
        }
        out.push_str("/>");
    }

    fn read(_about: &str, el: &Element) -> Result<Option<Avatar>, RestoreError> {
        Avatar::read_optional(el).map_err(|_| wrong("bad avatar"))
    }
}

impl Stored for Hatted {
    const ABOUT: &'static str = "hats";

    fn about(&self) -> String {
        self.jid.to_string()
    }

    fn write(&self, out: &mut String, name: &str) {
        out.push_str(&format!(">{}</{name}>", self.hats.to_xml()));
    }

    fn read(about: &str, el: &Element) -> Result<Hatted, RestoreError> {
        let hats = el.children().next().map(|el| Hats::parse(&String::from(el)));
        let hats = hats.transpose().map_err(|_| wrong("bad hats"))?;
        Ok(Hatted {
            jid: BareJid::new(about).map_err(|_| wrong("hats of no JID"))?,
            hats: hats.unwrap_or_default(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Affiliation;

    fn offer(was: Ruling, now: Ruling) -> Offer {
        Offer {
            actor_nick: Some("hecate".to_owned()),
            actor_jid: Some(BareJid::new("hecate@shakespeare.lit").unwrap()),
            base: was.clone(),
            was,
            now,
            is_asked: false,
            is_invited: true,
            is_registered: false,
        }
    }

    fn read_again(offer: &Offer) -> (Matter, Offer) {
        let mut out = String::new();
        write(&mut out, offer);
        let root = format!("<room xmlns='{NS}'>{out}</room>");
        let root: Element = root.parse().unwrap();
        read(root.children().next().unwrap()).unwrap()
    }

    #[test]
    fn an_offer_of_each_kind_comes_back_as_it_was() {
        let jid = BareJid::new("crone1@shakespeare.lit").unwrap();
        let listing = |affiliation, nick: Option<&str>| Listing {
            jid: jid.clone(),
            entry: Listed {
                affiliation,
                nick: nick.map(str::to_owned),
            },
        };
        let subject = Subject {
            nick: Some("crone1".to_owned()),
            stamp: -1,
            text: "Fire burn & <cauldron> bubble".to_owned(),
        };
        let form = |values: &[&str]| {
            let mut form = Form::default();
            form.set(
                "muc#roomconfig_whois",
                values.iter().map(|value| (*value).to_owned()).collect(),
            );
            form
        };
        let moderated = |moderation| Moderated {
            id: "deed".to_owned(),
            moderation,
        };
        let moderation = Moderation {
            id: "deed".to_owned(),
            reason: Some("'Tis time".to_owned()),
            ..Moderation::default()
        };
        let hats = "<hats xmlns='urn:xmpp:hats:0'><hat xmlns='urn:xmpp:hats:0' uri='urn:x:witch' title='Witch'/></hats>";
        let hatted = |hats| Hatted {
            jid: jid.clone(),
            hats,
        };
        let avatar = |hash: &str| {
            Some(Avatar {
                hash: hash.to_owned(),
                bytes: 4_000,
            })
        };
        let pairs: [(Ruling, Ruling); 6] = [
            (None::<Avatar>.into(), avatar("1f").into()),
            (
                listing(Affiliation::None, None).into(),
                listing(Affiliation::Member, Some("crone1")).into(),
            ),
            (None::<Subject>.into(), Some(subject).into()),
            (form(&[]).into(), form(&["anyone", "moderators"]).into()),
            (moderated(None).into(), moderated(Some(moderation)).into()),
            (
                hatted(Hats::default()).into(),
                hatted(Hats::parse(hats).unwrap()).into(),
            ),
        ];
        for (was, now) in pairs {
            let offer = offer(was, now);
            assert_eq!(read_again(&offer), (offer.now.matter().unwrap(), offer));
        }
    }

    #[test]
    fn an_offer_about_nothing_is_left_out() {
        let xml = format!("<offer xmlns='{NS}'><was/><base/><now/></offer>");
        assert!(read(&xml.parse().unwrap()).is_err());
    }
}
