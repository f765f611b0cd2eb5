#define TEXT "text"
