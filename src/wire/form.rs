//! Data forms (XEP-0004), as far as `muc#roomconfig` needs them.

use std::collections::BTreeSet;

use minidom::Element;

use super::dom::{bad, over, parse, required_child};
use super::limits::{
    MAX_CONTROL_BYTES, MAX_FORM_FIELDS, MAX_FORM_VALUE_BYTES, MAX_FORM_VALUES, MAX_PART_BYTES,
};
use super::reading::Reading;
use super::text::{Tag, beginning};
use super::{Unfit, WireError, ns};

/// One field: its variable and its values. Labels, types and options are the service's own affair.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Field {
    /// The variable, as `muc#roomconfig_roomname`.
    pub var: String,
    /// The values in order; more than one for multi-valued fields.
    pub values: Vec<String>,
}

/// A room's configuration (XEP-0045 section 15.5.3) as it travels in `<config/>`.
///
/// Equal when the same fields have the same values, in whatever order the fields stand.
#[derive(Debug, Clone, Default)]
pub struct Form {
    /// The fields, without `FORM_TYPE`. No variable occurs twice.
    pub fields: Vec<Field>,
}

impl PartialEq for Form {
    fn eq(&self, other: &Form) -> bool {
        let sorted = |form: &Form| {
            let mut fields = form.fields.clone();
            fields.sort();
            fields
        };
        self.fields.len() == other.fields.len() && sorted(self) == sorted(other)
    }
}

impl Eq for Form {}

impl Form {
    /// The first value of a field.
    pub fn get(&self, var: &str) -> Option<&str> {
        self.values(var)
            .and_then(|values| values.first())
            .map(String::as_str)
    }

    /// All values of a field; `None` when there is no such field.
    pub fn values(&self, var: &str) -> Option<&[String]> {
        self.fields
            .iter()
            .find(|field| field.var == var)
            .map(|field| field.values.as_slice())
    }

    /// A boolean field: "0", "1", "false" or "true" (XEP-0004 section 3.3); anything else is `None`.
    pub fn flag(&self, var: &str) -> Option<bool> {
        match self.get(var)? {
            "1" | "true" => Some(true),
            "0" | "false" => Some(false),
            _ => None,
        }
    }

    /// Sets a field, in place when it exists.
    pub fn set(&mut self, var: &str, values: Vec<String>) {
        match self.fields.iter_mut().find(|field| field.var == var) {
            Some(field) => field.values = values,
            None => self.fields.push(Field {
                var: var.to_owned(),
                values,
            }),
        }
    }

    /// Removes a field and says whether it was there.
    pub fn remove(&mut self, var: &str) -> bool {
        let before = self.fields.len();
        self.fields.retain(|field| field.var != var);
        self.fields.len() < before
    }

    /// Parses `<x xmlns='jabber:x:data'/>` whose `FORM_TYPE` is `muc#roomconfig`.
    pub fn parse(xml: &str) -> Result<Form, WireError> {
        Form::read(&parse(xml, MAX_CONTROL_BYTES)?, &mut Reading::strict())
    }

    /// As [`Form::parse`], of the form of a room as its host has it: what no peer would take of it is cut or left out, and
    /// said.
    pub fn parse_fitting(xml: &str) -> Result<(Form, Unfit), WireError> {
        let mut reading = Reading::lenient();
        let form = Form::read(&parse(xml, MAX_CONTROL_BYTES)?, &mut reading)?;
        Ok((form, reading.unfit))
    }

    /// The form as `<x xmlns='jabber:x:data' type='form'/>`, `FORM_TYPE` first (XEP-0281 section 3.2).
    pub fn to_xml(&self) -> String {
        let mut out = String::new();
        self.write(&mut out);
        out
    }

    /// Reads the form that an element must hold.
    pub(super) fn read_child(parent: &Element, reading: &mut Reading) -> Result<Form, WireError> {
        Form::read(required_child(parent, "x", ns::DATA_FORMS)?, reading)
    }

    fn read(x: &Element, reading: &mut Reading) -> Result<Form, WireError> {
        if !x.is("x", ns::DATA_FORMS) {
            return Err(bad("this is not a data form"));
        }
        if !matches!(x.attr("type"), Some("form" | "submit" | "result")) {
            return Err(bad("the data form's type is not 'form', 'submit' or 'result'"));
        }
        let (form_type, fields) = read_fields(x, reading)?;
        if form_type.as_deref() != Some(ns::ROOMCONFIG) {
            return Err(bad("the data form's FORM_TYPE is not muc#roomconfig"));
        }
        Ok(Form { fields })
    }

    pub(super) fn write(&self, out: &mut String) {
        write_form(out, "form", ns::ROOMCONFIG, &self.fields);
    }
}

/// Reads the `FORM_TYPE` and the fields of any data form. Fixed fields, labels and options are decoration.
pub(super) fn read_fields(
    x: &Element,
    reading: &mut Reading,
) -> Result<(Option<String>, Vec<Field>), WireError> {
    let (mut form_type, mut fields, mut budget) = (None, Vec::<Field>::new(), MAX_FORM_VALUES);
    let mut seen = BTreeSet::new();
    for field in x.children().filter(|child| child.is("field", ns::DATA_FORMS)) {
        if field.attr("type") == Some("fixed") {
            continue;
        }
        let Some(var) = reading.part(var_of(field))? else {
            continue;
        };
        let is_second = !seen.insert(var);
        if is_second && reading.is_strict() {
            return Err(bad("a field occurs twice in the data form"));
        }
        let values = read_values(field, var, &mut budget, reading)?;
        if is_second {
            // The first one counts. Modules that add the same field say the same.
            let is_same = fields
                .iter()
                .any(|field| field.var == var && field.values == values);
            if !is_same {
                reading.pass_over(bad(format!("the field {var} occurs twice in the data form")))?;
            }
            continue;
        }
        if var == "FORM_TYPE" {
            form_type = values.into_iter().next();
            continue;
        }
        let too_many = || over(format!("the data form has more than {MAX_FORM_FIELDS} fields"));
        if reading.has_room(fields.len(), MAX_FORM_FIELDS, too_many)? {
            fields.push(Field {
                var: var.to_owned(),
                values,
            });
        }
    }
    Ok((form_type, fields))
}

fn var_of(field: &Element) -> Result<&str, WireError> {
    match field.attr("var") {
        None => Err(bad("a field of the data form has no 'var'")),
        Some(var) if var.is_empty() || var.len() > MAX_PART_BYTES => {
            Err(bad("a field of the data form has an empty or over-long 'var'"))
        }
        Some(var) => Ok(var),
    }
}

/// A value that is too long is cut, not left out: a room without its password would be open.
fn read_values(
    field: &Element,
    var: &str,
    budget: &mut usize,
    reading: &mut Reading,
) -> Result<Vec<String>, WireError> {
    let mut values = Vec::new();
    for value in field.children().filter(|child| child.is("value", ns::DATA_FORMS)) {
        let Some(left) = budget.checked_sub(1) else {
            let too_many = format!("the data form has more than {MAX_FORM_VALUES} values");
            reading.pass_over(over(too_many))?;
            continue;
        };
        *budget = left;
        let mut text = value.text();
        if text.len() > MAX_FORM_VALUE_BYTES {
            let too_long = format!("a value of the field {var} is longer than {MAX_FORM_VALUE_BYTES} bytes");
            reading.pass_over(over(too_long))?;
            text.truncate(beginning(&text, MAX_FORM_VALUE_BYTES).len());
        }
        values.push(text);
    }
    Ok(values)
}

/// Writes a data form with its `FORM_TYPE` first.
pub(super) fn write_form(out: &mut String, kind: &str, form_type: &str, fields: &[Field]) {
    let value = |out: &mut String, text: &str| Tag::new(out, "value").text(text);
    Tag::within(out, "x", ns::DATA_FORMS)
        .attr("type", kind)
        .body(|out| {
            Tag::new(out, "field")
                .attr("type", "hidden")
                .attr("var", "FORM_TYPE")
                .body(|out| value(out, form_type));
            for field in fields {
                Tag::new(out, "field").attr("var", &field.var).body(|out| {
                    field.values.iter().for_each(|text| value(out, text));
                });
            }
        });
}
