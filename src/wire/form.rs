//! Data forms (XEP-0004), as far as `muc#roomconfig` needs them.

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
}
